/**
 * Signals to all processes of a cgroup. To kill them is one write where the kernel has cgroup.kill (5.14); else, and for other
 * signals, they are frozen first, so that none can fork or end while they are signalled one by one. cgroup-v2.rst.
 */
import { native } from '../addon.js';
import { TareError } from '../error.js';
import { closeAll } from '../fd.js';
import { SIGKILL } from '../signals.js';
import { keyedValue, readIfThere, unless, writeIfThere } from './files.js';
import { freezeCgroup, frozenBy, isFrozen, startThaw, thawKilled } from './freeze.js';
import { membersPlace, processesIn } from './processes.js';
import type { CgroupPlace } from './types.js';
import { untilAsked, untilEvent } from './wait.js';

/**
 * Sends a signal to every process in the cgroup and below; none is forgotten that is born meanwhile. Does not wait for what they do
 * with it. A container that was frozen stays so, but for SIGKILL.
 * @returns how many processes there were
 */
export async function signalCgroup(places: readonly CgroupPlace[], signal: number): Promise<number> {
  const place = membersPlace(places);
  if (!place) return 0;
  const count = processesIn(place.directory).length;
  if (count === 0) return 0;
  if (signal === SIGKILL && writeIfThere(place.directory, 'cgroup.kill', '1')) {
    thawKilled(places);
    return count;
  }
  return signalOneByOne(places, place, signal);
}

/**
 * Sends SIGKILL to every process in the cgroup, also to those that are born meanwhile. Returns when none is left.
 * @throws TareError `timeout` when some are left after `waitMs` (5 s): they are stuck in the kernel (state D).
 */
export async function killCgroup(places: readonly CgroupPlace[], options: { waitMs?: number } = {}): Promise<void> {
  const place = membersPlace(places);
  if (!place) return;
  const deadline = performance.now() + (options.waitMs ?? 5000);
  const isEmpty = () => processesIn(place.directory).length === 0;
  while (!isEmpty()) {
    await signalCgroup(places, SIGKILL);
    const left = Math.max(deadline - performance.now(), 0);
    // Version 1: who was born while the freezer failed is found in the next round.
    const gone =
      place.version === 2 ? await untilEvent(place, () => isUnpopulated(place), left) : await untilAsked(isEmpty, 50);
    if (!gone && performance.now() >= deadline) throw stuck(processesIn(place.directory), place, places);
  }
}

function stuck(pids: readonly number[], { directory }: CgroupPlace, places: readonly CgroupPlace[]): TareError {
  const freezer = pids.map((pid) => frozenBy(pid, places)).find((path) => path !== undefined);
  const why =
    freezer && `: the cgroup ${freezer}, which is not the container's, keeps them frozen; thaw that one first`;
  return new TareError('timeout', `processes ${pids.join(', ')} in ${directory} do not end${why ?? ''}`, {
    path: freezer ?? directory,
  });
}

function isUnpopulated({ directory }: CgroupPlace): boolean {
  return keyedValue(readIfThere(directory, 'cgroup.events'), 'populated') !== '1';
}

async function signalOneByOne(places: readonly CgroupPlace[], place: CgroupPlace, signal: number): Promise<number> {
  const wasFrozen = isFrozen(places);
  // Where there is no freezer, or it fails, those that are there now get it: better than nobody.
  if (!wasFrozen) await freezeCgroup(places).catch(notFrozen);
  try {
    const pids = processesIn(place.directory);
    for (let i = 0; i < pids.length; i += BATCH) signalMembers(place, pids.slice(i, i + BATCH), signal);
    return pids.length;
  } finally {
    if (signal === SIGKILL) thawKilled(places);
    else if (!wasFrozen) startThaw(places);
  }
}

/** Pidfds held at once. */
const BATCH = 256;

function notFrozen(error: unknown): void {
  if (!(error instanceof TareError && (error.code === 'timeout' || error.code === 'unsupported'))) throw error;
}

/** By pidfd, and only those that are still in the cgroup once the pidfd is held: else it could be another process by now. */
function signalMembers(place: CgroupPlace, pids: readonly number[], signal: number): void {
  const held = new Map<number, number>();
  try {
    for (const pid of pids) {
      const pidfd = unless(['ESRCH'], () => native.pidfdOpen(pid));
      if (pidfd !== undefined) held.set(pid, pidfd);
    }
    for (const pid of processesIn(place.directory)) {
      const pidfd = held.get(pid);
      if (pidfd !== undefined) unless(['ESRCH'], () => native.pidfdSendSignal(pidfd, signal));
    }
  } finally {
    closeAll(held.values());
  }
}
