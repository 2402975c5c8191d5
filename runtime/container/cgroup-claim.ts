/**
 * Whose a cgroup is. Two state roots may each have a container of one name, and without a cgroupsPath of their own both would have one
 * cgroup; whoever lost, or was killed on the way, must not take the other's with it when it is undone. So a cgroup is claimed before it
 * is made: by a symbolic link to the state directory, which symlink(2) makes as a whole, or not at all, and never twice.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPlace } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import { makeFolders } from '../kernel/files.js';
import { DirectoryLock } from '../kernel/lock.js';
import { stateRoot } from '../kernel/places.js';

/**
 * Where the claim to this cgroup lies: one place for all state roots of a user. undefined where there can be none, because that place
 * cannot be written to: then there is no other state root to fear either.
 */
export function claimOf(places: readonly CgroupPlace[]): string | undefined {
  // Every container has this one, whatever it is limited by: see `planCgroup`.
  const place =
    places.find(({ version }) => version === 2) ??
    places.find(({ controllers }) => controllers.includes('freezer')) ??
    places[0];
  if (!place) return undefined;
  try {
    const folder = claimsFolder();
    makeFolders(folder);
    return join(folder, createHash('sha256').update(place.directory).digest('hex').slice(0, 32));
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS', 'permission'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return undefined;
    throw error;
  }
}

/**
 * Claims it for a state directory.
 * @throws TareError `exists` when another container has it
 */
export async function claim(path: string, owner: string): Promise<void> {
  if (tryClaim(path, owner)) return;
  // Nobody undoes the claim of a state that is gone. With a lock: of two who see that, one has it.
  using _lock = await DirectoryLock.acquire(join(path, '..'), { waitMs: 10_000 });
  const before = claimant(path);
  if (before !== undefined && before !== owner && existsSync(join(before, 'state.json'))) {
    throw new TareError('exists', `its cgroup is that of the container in ${before}: give one of them another name`, {
      path: before,
    });
  }
  rmSync(path, { force: true });
  if (!tryClaim(path, owner)) throw new TareError('exists', 'its cgroup has just been taken by another container');
}

/** Nobody has it, or this state directory does. */
export function isFreeFor(path: string | undefined, owner: string): boolean {
  const whose = path === undefined ? undefined : claimant(path);
  return whose === undefined || whose === owner;
}

/** Gives back what no container has any more, because its state was removed by other means. */
export async function pruneClaims(): Promise<void> {
  const folder = claimsFolder();
  if (!existsSync(folder)) return;
  using _lock = await DirectoryLock.acquire(folder, { waitMs: 10_000 });
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const owner = claimant(path);
    // The state is there before the claim, and after it.
    if (owner !== undefined && !existsSync(join(owner, 'state.json'))) rmSync(path, { force: true });
  }
}

/** Gives it back; nothing when it is another's. */
export function releaseClaim(path: string | undefined, owner: string): void {
  if (path !== undefined && claimant(path) === owner) rmSync(path, { force: true });
}

function claimsFolder(): string {
  return join(stateRoot({ ...process.env, TARE_STATE: '' }), '.cgroups');
}

function tryClaim(path: string, owner: string): boolean {
  try {
    symlinkSync(owner, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Looked at in one call: who is deleted meanwhile takes its claim away. */
function claimant(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    // EINVAL: no link, such as the lock of the folder.
    if (['ENOENT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
