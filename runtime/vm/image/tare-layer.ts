/**
 * The second layer: Tare itself, as it lies in the working tree, with Node and what it needs to run. Its key is the hash of its
 * contents. Hashing takes a while, so the key is remembered under a stamp: the hash of all names, sizes and times.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nativeFile, packageRoot } from '../../kernel/places.js';
import { FILES, LINKS, SERVER_ONLY } from './contents.js';
import { run } from './run.js';
import { artefact, make } from './store.js';

const RECIPE = 4;

export interface LayerFile {
  /** In the machine, without a leading slash. */
  readonly target: string;
  /** On this machine. */
  readonly source: string;
  readonly stamp: string;
}

/** Everything that the layer is made of, in a stable order. */
export async function listFiles(root: string = packageRoot()): Promise<LayerFile[]> {
  const files: LayerFile[] = [];
  const add = (source: string, target: string, skip: (path: string) => boolean = () => false) =>
    walk(source, target, skip, files);
  await add(join(root, 'package.json'), 'opt/tare/package.json');
  await add(join(root, 'dist'), 'opt/tare/dist', unwanted);
  for (const folder of ['chapters', 'exercises']) await add(join(root, folder), `opt/tare/${folder}`);
  for (const name of await packages(root))
    await add(join(root, 'node_modules', name), `opt/tare/node_modules/${name}`, unwanted);
  await add(process.execPath, 'usr/bin/node');
  return files.sort((a, b) => (a.target < b.target ? -1 : 1));
}

/** The key, where these very files have been hashed before; quick, changes nothing. */
export async function knownKey(files: readonly LayerFile[]): Promise<string | undefined> {
  return await readFile(join(artefact('stamp', stampKey(files)), 'key'), 'utf8').catch(() => undefined);
}

/** The key of the layer's contents; remembered. To be called under the build lock. */
export async function layerKey(files: readonly LayerFile[]): Promise<string> {
  const known = await knownKey(files);
  if (known) return known;
  const contents: [string, string][] = [];
  for (const file of files) contents.push([file.target, await contentDigest(file.source)]);
  const key = digest([RECIPE, FILES, LINKS, contents]);
  await make('stamp', stampKey(files), (folder) => writeFile(join(folder, 'key'), key));
  return key;
}

/** Of names, sizes and times; also the key of the stamp's folder. */
export function stampKey(files: readonly LayerFile[]): string {
  return digest([RECIPE, FILES, LINKS, files.map(({ target, source, stamp }) => [target, source, stamp])]);
}

/** Writes the layer's squashfs; `work` is an empty folder for the meantime. */
export async function buildLayer(files: readonly LayerFile[], squashfs: string, work: string): Promise<void> {
  for (const { source, target } of files) {
    const path = join(work, target);
    await mkdir(dirname(path), { recursive: true });
    const facts = await lstat(source);
    if (facts.isSymbolicLink()) await symlink(await readlink(source), path);
    else {
      await copyFile(source, path);
      await chmod(path, facts.mode & 0o111 ? 0o755 : 0o644);
    }
  }
  for (const [target, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(work, target)), { recursive: true });
    await writeFile(join(work, target), text, { mode: 0o644 });
  }
  for (const [target, to] of Object.entries(LINKS)) {
    await mkdir(dirname(join(work, target)), { recursive: true });
    await symlink(to, join(work, target));
  }
  await chmod(work, 0o755);
  await chmod(join(work, 'root'), 0o700);
  // lz4 rather than zstd: an emulated processor unpacks it in a fraction of the time.
  const compression = ['-comp', 'lz4', '-b', '128K'];
  await run('mksquashfs', [work, squashfs, '-all-root', '-quiet', '-no-progress', '-noappend', ...compression]);
}

/** The stage that runs plans in the machine is the one of the working tree; a missing one is an error now, not there. */
export function checkPrograms(): void {
  for (const name of ['stage', 'agent'] as const) nativeFile(name);
}

/** What nothing reads when Tare runs. better-sqlite3 comes with SQLite's sources and all that its build made (28 MB): its addon alone is needed. */
function unwanted(path: string): boolean {
  return (
    /\/dist\/(web-lab|native\/(asan|fuzz|addon))$|\.(map|tsbuildinfo|d\.[cm]?ts|md|o)$/.test(path) ||
    /\/better-sqlite3\/(deps|src|build\/(?!Release$|Release\/better_sqlite3\.node$).*)$/.test(path)
  );
}

/** Production dependencies and theirs, as npm has laid them out at the top of node_modules. */
async function packages(root: string): Promise<string[]> {
  const found = new Set<string>();
  const visit = async (manifest: string) => {
    const text = await readFile(manifest, 'utf8').catch(() => '{}');
    const { dependencies = {} } = JSON.parse(text) as { dependencies?: Record<string, string> };
    for (const name of Object.keys(dependencies)) {
      if (found.has(name) || (SERVER_ONLY as readonly string[]).includes(name)) continue;
      found.add(name);
      await visit(join(root, 'node_modules', name, 'package.json'));
    }
  };
  await visit(join(root, 'package.json'));
  return [...found].sort();
}

async function walk(source: string, target: string, skip: (path: string) => boolean, into: LayerFile[]): Promise<void> {
  const facts = await lstat(source).catch(() => undefined);
  if (!facts || skip(source)) return;
  if (!facts.isDirectory()) {
    into.push({ source, target, stamp: `${facts.size} ${facts.mtimeMs} ${facts.mode}` });
    return;
  }
  const names = await readdir(source);
  await Promise.all(names.map((name) => walk(join(source, name), `${target}/${name}`, skip, into)));
}

async function contentDigest(path: string): Promise<string> {
  const facts = await lstat(path);
  const hash = createHash('sha256').update(facts.mode & 0o111 ? 'x' : '-');
  if (facts.isSymbolicLink()) return hash.update(await readlink(path)).digest('hex');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
