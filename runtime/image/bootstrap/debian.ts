/**
 * Debian as an image, from its packages: mmdebstrap makes the root file system (variant minbase, without manuals and translations, as Debian's own
 * slim images are), from the mirrors that this machine's apt has. Half a minute. With SOURCE_DATE_EPOCH set, the same packages
 * make the same image, byte for byte. mmdebstrap(1), https://reproducible-builds.org/specs/source-date-epoch/
 */
import { createReadStream } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { hasOneUser } from '../../kernel/user-namespace.js';
import { hostApt } from '../../vm/image/apt.js';
import { runShell } from '../../vm/image/run.js';
import { importRootfs } from '../archive/index.js';
import type { Reference } from '../reference.js';
import type { ImageStore } from '../store/index.js';
import type { OnProgress, Progress } from '../types.js';
import type { Bootstrapped } from './index.js';

export interface DebianOptions {
  /** Debian's code name; that of this machine unless told. */
  readonly suite?: string;
  /** The URL of an archive, instead of those of this machine. */
  readonly mirror?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const VERSIONS: Readonly<Record<string, string>> = {
  buster: '10',
  bullseye: '11',
  bookworm: '12',
  trixie: '13',
  forky: '14',
};

const NEEDED_BYTES = 700 << 20;

/** `localhost/debian:bookworm`, by its number too, and without a tag where it is this machine's release. */
export async function debianNames({ suite }: DebianOptions): Promise<Reference[]> {
  const own = (await hostApt()).suite;
  const wanted = suite ?? own;
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(wanted))
    throw new TareError('usage', `${JSON.stringify(wanted)} is no code name of a Debian release, such as bookworm`);
  const tags = [wanted, VERSIONS[wanted], wanted === own ? 'latest' : undefined];
  return tags.flatMap((tag) => (tag === undefined ? [] : [{ registry: 'localhost', repository: 'debian', tag }]));
}

/** @throws TareError `not-found` (mmdebstrap, or the suite), `no-space`, `machine` with mmdebstrap's last words */
export async function makeDebian(
  store: ImageStore,
  names: readonly Reference[],
  options: DebianOptions,
): Promise<Bootstrapped> {
  const { env = process.env, onProgress, signal } = options;
  const { suite, lines, options: aptOptions } = await sourcesFor(options);
  needUsers();
  await needSpace(store.root);
  // On the disk of the store, and collected with it should we be killed.
  await using scratch = await store.scratch();
  const archive = join(scratch.path, 'rootfs.tar');
  const report = (action: Progress['action'], detail: string) => onProgress?.({ id: 'debian', action, detail });
  report('downloading', 'preparing Debian packages');
  await runShell(
    // What drops privileges in between must get to its files.
    'umask 022; mkdir -m 0711 "$TMPDIR"; archive=$1; shift; mmdebstrap "$@" > "$archive"',
    [
      archive,
      ...['--variant=minbase', '--format=tar', '--skip=check/qemu'],
      ...EXCLUDED.map((path) => `--dpkgopt=path-exclude=${path}`),
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      ...aptOptions.map((option) => `--aptopt=${option}`),
      '--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
      ...[suite, '-', ...lines],
    ],
    {
      env: { ...env, TMPDIR: join(scratch.path, 'tmp'), LC_ALL: 'C.UTF-8' },
      cwd: '/',
      name: 'mmdebstrap',
      making: 'the image of Debian',
      ...(signal && { signal }),
      onLine: (line) => {
        const stage = STAGES.find(([pattern]) => pattern.test(line));
        if (stage) report(stage[1], stage[2]);
      },
    },
  );
  const created = new Date(env.SOURCE_DATE_EPOCH === undefined ? Date.now() : Number(env.SOURCE_DATE_EPOCH) * 1000);
  report('unpacking', 'packing the layer');
  const made = await importRootfs(store, createReadStream(archive, { highWaterMark: 1 << 20 }), {
    names,
    created: created.toISOString(),
    createdBy: `tare image bootstrap debian --suite ${suite}`,
    message: 'Debian packages, by mmdebstrap --variant=minbase',
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['bash'] },
    ...(signal && { signal }),
  });
  onProgress?.({ id: 'debian', action: 'done' });
  return made;
}

const EXCLUDED = [
  ...['/usr/share/locale/*', '/usr/share/doc/*', '/usr/share/info/*', '/usr/share/man/*', '/usr/share/lintian/*'],
];

/** Lines of mmdebstrap that a person wants to know of. */
const STAGES: readonly [RegExp, Progress['action'], string][] = [
  [/running apt-get update/, 'downloading', 'the list of Debian packages'],
  [/downloading packages/, 'downloading', 'Debian packages'],
  [/extracting archives/, 'unpacking', 'Debian packages'],
  [/installing essential/, 'unpacking', 'installing the essential packages'],
  [/creating tarball/, 'unpacking', 'packing the root file system'],
];

/** Packages have several owners. */
function needUsers(): void {
  if (process.geteuid?.() === 0 && !hasOneUser()) return;
  throw new TareError(
    'permission',
    'Debian is made by root, or by a user to whom /etc/subuid and /etc/subgid lend others; root can help with "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"',
  );
}

/** This machine's own archives, for another release too. */
async function sourcesFor({ suite, mirror }: DebianOptions) {
  const host = await hostApt();
  const wanted = suite ?? host.suite;
  if (mirror !== undefined) {
    if (!/^(?:https?|file|copy):\/\/?\S+$/.test(mirror))
      throw new TareError(
        'usage',
        `--mirror ${JSON.stringify(mirror)}: must be a URL, such as http://deb.debian.org/debian`,
      );
    return { suite: wanted, lines: [`deb ${mirror} ${wanted} main`], options: host.options };
  }
  if (wanted === host.suite) return host;
  const lines = host.lines.filter((line) => line.split(' ').includes(host.suite));
  return {
    suite: wanted,
    lines: lines.map((line) => line.replace(` ${host.suite} `, ` ${wanted} `)),
    options: host.options,
  };
}

/** Refuses to begin what cannot end. */
async function needSpace(root: string): Promise<void> {
  const { bavail, bsize } = await statfs(root);
  const mib = (n: number) => `${Math.floor(n / (1 << 20))} MiB`;
  if (bavail * bsize < NEEDED_BYTES)
    throw new TareError(
      'no-space',
      `${root} has ${mib(bavail * bsize)} free, and to make an image of Debian needs ${mib(NEEDED_BYTES)}`,
    );
}
