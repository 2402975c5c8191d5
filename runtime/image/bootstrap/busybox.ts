/**
 * Busybox as an image: Debian's static program (busybox-static), the names of its applets as symbolic links, and the few files that programs look
 * for. It has the time of the program itself, so the same package makes the same image.
 */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { TareError } from '../../kernel/error.js';
import { importRootfs } from '../archive/index.js';
import { TarWriter } from '../layer/index.js';
import type { Reference } from '../reference.js';
import type { ImageStore } from '../store/index.js';
import type { OnProgress } from '../types.js';
import type { Bootstrapped } from './index.js';

export interface BusyboxOptions {
  /** The program; Debian's unless told. */
  readonly program?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export const BUSYBOX_NAMES: readonly Reference[] = [{ registry: 'localhost', repository: 'busybox', tag: 'latest' }];

const PROGRAM = '/bin/busybox';

/** @throws TareError `not-found` when busybox-static is not installed */
export async function makeBusybox(
  store: ImageStore,
  names: readonly Reference[],
  { program = PROGRAM, env = process.env, onProgress, signal }: BusyboxOptions,
): Promise<Bootstrapped> {
  onProgress?.({ id: 'busybox', action: 'unpacking', detail: `from ${program}` });
  const { content, applets, mtime } = await readProgram(program);
  const epoch = env.SOURCE_DATE_EPOCH;
  const time = epoch === undefined ? mtime : Number(epoch);
  const made = await importRootfs(store, Readable.from(await archiveOf(content, applets, time)), {
    names,
    created: new Date(time * 1000).toISOString(),
    createdBy: 'tare image bootstrap busybox',
    message: 'busybox-static of Debian',
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['sh'] },
    ...(signal && { signal }),
  });
  onProgress?.({ id: 'busybox', action: 'done' });
  return made;
}

async function readProgram(program: string) {
  try {
    const [content, { stdout }, { mtimeMs }] = await Promise.all([
      readFile(program),
      promisify(execFile)(program, ['--list-full']),
      stat(program),
    ]);
    if (content.includes('/lib64/ld-linux'))
      throw new TareError('unsupported', `${program} is not static: install Debian’s busybox-static`);
    return { content, applets: stdout.split('\n').filter(Boolean), mtime: Math.floor(mtimeMs / 1000) };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new TareError('not-found', `${program} is not installed (Debian: busybox-static)`, { cause, path: program });
  }
}

const FOLDERS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    [
      'bin',
      'dev',
      'etc',
      'home',
      'proc',
      'sbin',
      'sys',
      'usr',
      'usr/bin',
      'usr/sbin',
      'var',
      'var/log',
      'var/spool',
    ].map((name) => [name, 0o755]),
  ),
  root: 0o700,
  tmp: 0o1777,
  'var/tmp': 0o1777,
};

const FILES: Readonly<Record<string, { readonly text: string; readonly mode?: number }>> = {
  'etc/passwd': {
    text: 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
  },
  'etc/group': { text: 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n' },
  'etc/shadow': { text: 'root:*::0:::::\ndaemon:*::0:::::\nnobody:*::0:::::\n', mode: 0o600 },
  'etc/profile': { text: "export PS1='\\w \\$ '\n" },
};

/** The root file system as a tar archive, in pieces. @param mtime seconds since 1970 */
async function archiveOf(busybox: Buffer, applets: readonly string[], mtime: number): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  const archive = new TarWriter((bytes) => void pieces.push(bytes));
  const mtimeNs = BigInt(mtime) * 1_000_000_000n;
  for (const [name, mode] of Object.entries(FOLDERS).sort(([a], [b]) => (a < b ? -1 : 1)))
    await archive.add({ type: 'directory', name: Buffer.from(name), mode, mtimeNs });
  const files = {
    'bin/busybox': { data: busybox, mode: 0o755 },
    ...Object.fromEntries(
      Object.entries(FILES).map(([name, { text, mode = 0o644 }]) => [name, { data: Buffer.from(text), mode }]),
    ),
  };
  for (const [name, { data, mode }] of Object.entries(files)) {
    await archive.add({ type: 'file', name: Buffer.from(name), mode, mtimeNs, size: data.length }, data);
  }
  for (const name of applets) {
    // `linuxrc` is what a kernel of old started; `bin/busybox` is the program itself.
    if (!Object.hasOwn(FOLDERS, posix.dirname(name)) || Object.hasOwn(files, name)) continue;
    const target = posix.relative(posix.dirname(name), 'bin/busybox');
    const linkName = Buffer.from(target);
    await archive.add({ type: 'symlink', name: Buffer.from(name), mode: 0o777, mtimeNs, linkName });
  }
  await archive.finish();
  return pieces;
}
