/**
 * The folder of images and snapshots, `<data root>/machines`. Each artefact is a folder `<kind>-<key>` that is whole or not
 * there: made under a temporary name, renamed when done. One builder at a time, by flock(2); whoever uses an artefact holds a
 * shared lock on it, so that removing old ones never takes one away from a running machine.
 */
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../../kernel/addon.js';
import { LOCK_SH } from '../../kernel/constants/lock.js';
import { TareError } from '../../kernel/error.js';
import { makeFolders } from '../../kernel/files.js';
import { tryLock } from '../../kernel/lock.js';
import { dataRoot } from '../../kernel/places.js';
import { asSpaceError } from './run.js';

const GRACE_MS = 10 * 60_000;

export type Kind = 'base' | 'image' | 'snapshot' | 'stamp';

/** Sentences for a display, and how far the whole is, from 0 to 1. */
export type Progress = (sentence: string, fraction: number) => void;

/** Only root (or the user) may look in: QEMU gets descriptors, never paths. */
export function machinesFolder(): string {
  return join(dataRoot(), 'machines');
}

export function artefact(kind: Kind, key: string): string {
  return join(machinesFolder(), `${kind}-${key}`);
}

export async function exists(kind: Kind, key: string): Promise<boolean> {
  return await stat(artefact(kind, key)).then(
    () => true,
    () => false,
  );
}

/** Holds the builder's lock while `work` runs. Waits for another builder, and says so. What it left half-made is removed. */
export async function withBuildLock<T>(onProgress: Progress, work: () => Promise<T>): Promise<T> {
  makeFolders(machinesFolder());
  const fd = openSync(join(machinesFolder(), '.lock'), 'w', 0o600);
  try {
    for (let waited = false; !tryLock(fd); waited = true) {
      if (!waited) onProgress('another process is building the machine’s image; waiting for it', 0);
      await new Promise((wake) => setTimeout(wake, 200));
    }
    for (const name of await readdir(machinesFolder()))
      if (name.startsWith('tmp-')) await rm(join(machinesFolder(), name), { recursive: true, force: true });
    return await work();
  } finally {
    closeSync(fd);
  }
}

/** Makes an artefact: `fill` gets an empty folder, which takes its name when all went well and goes away otherwise. */
export async function make(kind: Kind, key: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = await mkdtemp(join(machinesFolder(), 'tmp-'));
  try {
    await fill(folder);
    await rename(folder, artefact(kind, key));
  } catch (error) {
    throw asSpaceError(error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return artefact(kind, key);
}

/** Refuses to begin what cannot end. */
export async function needSpace(bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(machinesFolder());
  if (bavail * bsize >= bytes) return;
  const mib = (n: number) => `${Math.floor(n / (1 << 20))} MiB`;
  throw new TareError(
    'no-space',
    `${machinesFolder()} has ${mib(bavail * bsize)} free; the machine’s image needs ${mib(bytes)}`,
  );
}

/** Marks an artefact as used, until the returned function is called or this process ends. */
export function hold(kind: Kind, key: string): () => void {
  const fd = openSync(artefact(kind, key), 'r');
  let open = true;
  native.flock(fd, LOCK_SH);
  return () => {
    if (open) closeSync(fd);
    open = false;
  };
}

/** Marks an artefact as just used, so that nobody removes it before its user holds it. */
export async function touch(kind: Kind, key: string): Promise<void> {
  await utimes(artefact(kind, key), new Date(), new Date());
}

/** Removes artefacts that nobody keeps, holds, or has touched within ten minutes. To be called under the build lock. */
export async function sweep(keep: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(machinesFolder())) {
    if (!/^(base|image|snapshot|stamp)-/.test(name) || keep(name)) continue;
    const path = join(machinesFolder(), name);
    if (Date.now() - (await stat(path)).mtimeMs < GRACE_MS) continue;
    const fd = openSync(path, 'r');
    try {
      if (tryLock(fd)) await rm(path, { recursive: true, force: true });
    } finally {
      closeSync(fd);
    }
  }
}
