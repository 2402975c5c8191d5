/**
 * Who is in a cgroup, and how all of them are stopped or killed at once. Where the kernel has cgroup.kill (5.14) that is one
 * write; else they are frozen first, so that none can fork or end while they are killed one by one.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../addon.js';
import { TareError } from '../error.js';
import { SIGKILL } from '../signals.js';
import type { CgroupPlace } from './types.js';

/** The pids in a cgroup and the cgroups below it, in our pid namespace. Empty when it is gone. */
export function processesOf(place: CgroupPlace): number[] {
  return collect(place.directory);
}

/**
 * Sends SIGKILL to every process in the cgroup, also to those that are born meanwhile. Returns when none is left.
 * @throws TareError `timeout` when some are left after `waitMs` (5 s): they are stuck in the kernel (state D).
 */
export async function killCgroup(places: readonly CgroupPlace[], options: { waitMs?: number } = {}): Promise<void> {
  const deadline = performance.now() + (options.waitMs ?? 5000);
  const place = places.find((candidate) => candidate.version === 2) ?? places[0];
  if (!place) return;
  const atOnce = join(place.directory, 'cgroup.kill');
  for (let pause = 1; processesOf(place).length > 0; pause = Math.min(pause * 2, 50)) {
    if (performance.now() >= deadline)
      throw new TareError('timeout', `processes ${processesOf(place).join(', ')} in ${place.directory} do not end`, {
        path: place.directory,
      });
    if (existsSync(atOnce)) put(atOnce, '1');
    else await killOneByOne(places, place);
    await sleep(pause);
  }
}

/**
 * Freezes or thaws all processes of the cgroup, and waits until they are.
 * @throws TareError `unsupported` where there is neither version 2 nor a freezer, `timeout` after `waitMs` (5 s).
 */
export async function setFrozen(
  places: readonly CgroupPlace[],
  frozen: boolean,
  options: { waitMs?: number } = {},
): Promise<void> {
  const freezer = freezerOf(places);
  if (!freezer) throw new TareError('unsupported', 'neither a cgroup of version 2 nor the freezer controller is there');
  const deadline = performance.now() + (options.waitMs ?? 5000);
  freezer.set(frozen);
  for (let pause = 1; freezer.isFrozen() !== frozen; pause = Math.min(pause * 2, 50)) {
    if (performance.now() >= deadline)
      throw new TareError('timeout', `the cgroup does not ${frozen ? 'freeze' : 'thaw'}`);
    await sleep(pause);
    // A version 1 freezer that met a process on its way into the kernel stays at FREEZING until told again.
    if (frozen) freezer.set(true);
  }
}

async function killOneByOne(places: readonly CgroupPlace[], place: CgroupPlace): Promise<void> {
  const freezer = freezerOf(places);
  if (freezer) await setFrozen(places, true);
  try {
    for (const pid of processesOf(place)) killMember(place, pid);
  } finally {
    freezer?.set(false); // a frozen process of version 1 dies when it is thawed
  }
}

/** By pidfd, and only if the pid is still in the cgroup once the pidfd is held: else it could be another process by now. */
function killMember(place: CgroupPlace, pid: number): void {
  const pidfd = unless(['ESRCH'], () => native.pidfdOpen(pid));
  if (pidfd === undefined) return;
  try {
    if (processesOf(place).includes(pid)) unless(['ESRCH'], () => native.pidfdSendSignal(pidfd, SIGKILL));
  } finally {
    native.close(pidfd);
  }
}

interface Freezer {
  set(frozen: boolean): void;
  isFrozen(): boolean;
}

function freezerOf(places: readonly CgroupPlace[]): Freezer | undefined {
  const second = places.find((place) => place.version === 2 && existsSync(join(place.directory, 'cgroup.freeze')));
  if (second) {
    return {
      set: (frozen) => put(join(second.directory, 'cgroup.freeze'), frozen ? '1' : '0'),
      isFrozen: () => /^frozen 1$/m.test(get(join(second.directory, 'cgroup.events'))),
    };
  }
  const first = places.find((place) => place.controllers.includes('freezer'));
  if (!first) return undefined;
  return {
    set: (frozen) => put(join(first.directory, 'freezer.state'), frozen ? 'FROZEN' : 'THAWED'),
    isFrozen: () => get(join(first.directory, 'freezer.state')).trim() === 'FROZEN',
  };
}

function collect(directory: string): number[] {
  // 0 stands for a process that our pid namespace does not have.
  const here = get(join(directory, 'cgroup.procs'))
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
  const below = (unless(GONE, () => readdirSync(directory, { withFileTypes: true })) ?? [])
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => collect(join(directory, entry.name)));
  return [...here, ...below];
}

const GONE = ['ENOENT', 'ENODEV'];

function get(path: string): string {
  return unless(GONE, () => readFileSync(path, 'utf8')) ?? '';
}

function put(path: string, value: string): void {
  unless(GONE, () => writeFileSync(path, value));
}

/** The result, or undefined when it failed with one of these errnos. */
function unless<T>(errnos: readonly string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    const errno = error instanceof TareError ? error.syscall?.errno : (error as NodeJS.ErrnoException).code;
    if (errno !== undefined && errnos.includes(errno)) return undefined;
    throw error;
  }
}
