/**
 * Where Debian packages come from: the same mirrors and release as the host's own apt, so that whoever has a mirror or a
 * proxy set up need not do so again. sources.list(5) in both of its formats; third-party archives are left out.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.js';

export interface AptSources {
  /** Debian's code name: `bookworm`. */
  readonly suite: string;
  /** Lines as sources.list(5) has them. */
  readonly lines: readonly string[];
  /** Options for mmdebstrap's own apt: proxies and the like, as apt.conf(5) has them. */
  readonly options: readonly string[];
}

const DEFAULT_SUITE = 'bookworm';
const DEFAULT_MIRROR = 'http://deb.debian.org/debian';

/** The host's Debian archives; Debian's own mirror where the host has none (another distribution, say). */
export async function hostApt(): Promise<AptSources> {
  const release = parseRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''));
  const suite = release ?? DEFAULT_SUITE;
  const lines = release ? parseSources(await sourceTexts('/etc/apt'), suite) : [];
  return {
    suite,
    lines: lines.length > 0 ? lines : [`deb ${DEFAULT_MIRROR} ${suite} main`],
    options: parseOptions(await run('apt-config', ['dump', 'Acquire']).catch(() => '')),
  };
}

/** The code name, where this is Debian itself. */
export function parseRelease(osRelease: string): string | undefined {
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(osRelease)?.[1];
  return value('ID') === 'debian' ? value('VERSION_CODENAME') : undefined;
}

/** Lines for the suite and its updates, out of files of either format. Each archive once. */
export function parseSources(files: readonly { name: string; text: string }[], suite: string): string[] {
  const wanted = new Set([suite, `${suite}-updates`, `${suite}-security`]);
  const lines = files.flatMap(({ name, text }) => (name.endsWith('.sources') ? fromStanzas(text) : fromList(text)));
  return [...new Set(lines.filter(({ distribution }) => wanted.has(distribution)).map(({ line }) => line))];
}

interface Source {
  readonly distribution: string;
  readonly line: string;
}

function fromList(text: string): Source[] {
  return text.split('\n').flatMap((raw) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+?)\s*(?:#.*)?$/.exec(raw.trim());
    if (!match) return [];
    const [, options, uri = '', distribution = ''] = match;
    return [source(uri, distribution, /(?:^|\s)signed-by=(\S+)/i.exec(options ?? '')?.[1])];
  });
}

/** deb822: stanzas of `Field: value`; a value goes on in lines that begin with a space. */
function fromStanzas(text: string): Source[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    for (const line of stanza
      .replace(/^#.*\n?/gm, '')
      .replace(/\n[ \t]+/g, ' ')
      .split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
    const words = (field: string) => (fields.get(field) ?? '').split(/\s+/).filter(Boolean);
    if (!words('types').includes('deb') || fields.get('enabled')?.toLowerCase() === 'no') return [];
    const key = words('signed-by')[0];
    return words('uris').flatMap((uri) => words('suites').map((distribution) => source(uri, distribution, key)));
  });
}

function source(uri: string, distribution: string, key: string | undefined): Source {
  const options = key?.startsWith('/') ? `[signed-by=${key}] ` : '';
  return { distribution, line: `deb ${options}${uri} ${distribution} main` };
}

/** Proxies, time limits and retries of `apt-config dump Acquire`, in the form that mmdebstrap's --aptopt takes. */
export function parseOptions(dump: string): string[] {
  return dump
    .split('\n')
    .filter((line) => /^Acquire::(https?|ftp|Retries|ForceIPv4|Check-Valid-Until)\b[^ ]* "[^"]+";$/.test(line));
}

async function sourceTexts(folder: string): Promise<{ name: string; text: string }[]> {
  const names = ['sources.list'];
  for (const name of await readdir(join(folder, 'sources.list.d')).catch(() => []))
    if (/\.(list|sources)$/.test(name)) names.push(join('sources.list.d', name));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')));
  return names.map((name, i) => ({ name, text: texts[i] ?? '' }));
}
