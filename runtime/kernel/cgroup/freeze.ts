/**
 * Pausing: all processes of a cgroup stop running at once, and go on at once, without a signal that they could see. Version 2 has
 * it in every cgroup (`cgroup.freeze`, Linux 5.2), version 1 as the controller freezer. cgroup-v2.rst; cgroup-v1/freezer-subsystem.rst.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TareError } from '../error.js';
import { keyedValue, readIfThere, unless, withChildren, writeIfThere } from './files.js';
import type { CgroupPlace } from './types.js';
import { untilAsked, untilEvent } from './wait.js';

export interface WaitOptions {
  /** 10 s unless told. */
  readonly waitMs?: number;
}

/**
 * Stops all processes of the cgroup, and waits until they have stopped. If they do not, they go on.
 * @throws TareError `unsupported` where there is neither version 2 nor a freezer, `timeout` after `waitMs`
 */
export async function freezeCgroup(
  places: readonly CgroupPlace[],
  { waitMs = 10_000 }: WaitOptions = {},
): Promise<void> {
  const freezer = freezerOf(places);
  if (!freezer) throw new TareError('unsupported', 'neither a cgroup of version 2 nor the freezer controller is there');
  freezer.set(true);
  if (await freezer.until(true, waitMs)) return;
  freezer.set(false); // half of them stopped is worse than none
  throw new TareError('timeout', 'the cgroup does not freeze: a process of it is stuck in the kernel', {
    path: freezer.directory,
  });
}

/** Lets them go on. Harmless where they are not frozen. @throws as `freezeCgroup` */
export async function thawCgroup(places: readonly CgroupPlace[], { waitMs = 10_000 }: WaitOptions = {}): Promise<void> {
  const freezer = freezerOf(places);
  if (!freezer) throw new TareError('unsupported', 'neither a cgroup of version 2 nor the freezer controller is there');
  freezer.set(false);
  if (await freezer.until(false, waitMs)) return;
  throw new TareError('timeout', 'the cgroup does not thaw: one above it is frozen', { path: freezer.directory });
}

/** Whether it was frozen itself: that one above it is frozen does not count. False where it is gone. */
export function isFrozen(places: readonly CgroupPlace[]): boolean {
  return freezerOf(places)?.isFrozen() ?? false;
}

/** Begins to let them go on, in every hierarchy that they may be frozen in. */
export function startThaw(places: readonly CgroupPlace[]): void {
  for (const place of places) freezerIn(place)?.set(false);
}

/**
 * The same for who has been killed, and in the cgroups below too, where the container may have frozen some itself. Version 1 lets nobody
 * die who is frozen; version 2 does.
 */
export function thawKilled(places: readonly CgroupPlace[]): void {
  startThaw(places);
  for (const place of places.filter(isFreezerOne))
    for (const directory of withChildren(place.directory)) versionOne({ ...place, directory }).set(false);
}

/** The cgroup of version 1 that keeps a process frozen: the container's, one above, or one to which somebody has moved it. */
export function frozenBy(pid: number, places: readonly CgroupPlace[]): string | undefined {
  const mountPoint = places.find(isFreezerOne)?.mountPoint;
  const text = unless(['ESRCH'], () => readIfThere(`/proc/${pid}`, 'cgroup')) ?? '';
  const path = /^\d+:(?:[^:]*,)?freezer(?:,[^:]*)?:(\/.*)$/m.exec(text)?.[1];
  if (mountPoint === undefined || path === undefined) return undefined;
  for (let at = join(mountPoint, path); at.startsWith(`${mountPoint}/`); at = dirname(at))
    if (readIfThere(at, 'freezer.self_freezing')?.trim() === '1') return at;
  return undefined;
}

interface Freezer {
  readonly directory: string;
  set(frozen: boolean): void;
  isFrozen(): boolean;
  /** Waits for the state. False after `waitMs`. */
  until(frozen: boolean, waitMs: number): Promise<boolean>;
}

/** That of version 2 where there is one. */
function freezerOf(places: readonly CgroupPlace[]): Freezer | undefined {
  const ordered = [...places].sort((a, b) => b.version - a.version);
  return ordered.map(freezerIn).find((freezer) => freezer !== undefined);
}

function freezerIn(place: CgroupPlace): Freezer | undefined {
  if (place.version === 2) return existsSync(join(place.directory, 'cgroup.freeze')) ? versionTwo(place) : undefined;
  return isFreezerOne(place) ? versionOne(place) : undefined;
}

function isFreezerOne({ version, controllers }: CgroupPlace): boolean {
  return version === 1 && controllers.includes('freezer');
}

function versionTwo(place: CgroupPlace): Freezer {
  const { directory } = place;
  const events = () => keyedValue(readIfThere(directory, 'cgroup.events'), 'frozen') === '1';
  return {
    directory,
    set: (frozen) => void writeIfThere(directory, 'cgroup.freeze', frozen ? '1' : '0'),
    isFrozen: () => readIfThere(directory, 'cgroup.freeze')?.trim() === '1' && events(),
    until: (frozen, waitMs) => untilEvent(place, () => events() === frozen, waitMs),
  };
}

function versionOne({ directory }: CgroupPlace): Freezer {
  const state = () => readIfThere(directory, 'freezer.state')?.trim() ?? 'THAWED';
  const set = (frozen: boolean) => void writeIfThere(directory, 'freezer.state', frozen ? 'FROZEN' : 'THAWED');
  return {
    directory,
    set,
    isFrozen: () => state() === 'FROZEN' && readIfThere(directory, 'freezer.self_freezing')?.trim() !== '0',
    // One that met a process on its way into the kernel stays at FREEZING until it is told again.
    until: (frozen, waitMs) =>
      untilAsked(
        () => state() === (frozen ? 'FROZEN' : 'THAWED'),
        waitMs,
        () => set(frozen),
      ),
  };
}
