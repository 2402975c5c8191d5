/**
 * What nobody will come back for: containers whose creation or removal was cut off, and ended ones that were to be removed by a process
 * that is gone. A container that still runs is left alone, whoever made it.
 */
import { TareError } from '../kernel/error.js';
import { bootId, isAlive, pidNamespace } from '../kernel/process-identity.js';
import type { ContainerId } from '../oci/index.js';
import { pruneClaims } from './cgroup-claim.js';
import { destroy } from './destroy.js';
import { readJournal } from './journal.js';
import { StateDirectory } from './state-directory.js';

/**
 * Removes what is left behind below a state root. Returns the ids.
 * @param onFailure called for each that cannot be removed, or not be understood; the others are
 */
export async function collectGarbage(
  root: string,
  onFailure: (error: TareError) => void = () => undefined,
): Promise<ContainerId[]> {
  const removed: ContainerId[] = [];
  for (const directory of [...StateDirectory.list(root), ...StateDirectory.listUnnamed(root)]) {
    try {
      if ((await collect(directory)) && !directory.isUnnamed) removed.push(directory.id);
    } catch (error) {
      if (!(error instanceof TareError)) throw error;
      onFailure(error);
    }
  }
  await pruneClaims();
  return removed;
}

async function collect(directory: StateDirectory): Promise<boolean> {
  let lock: Disposable;
  try {
    lock = await directory.lock(0);
  } catch (error) {
    // Somebody works on it, or has just removed it: it is not left behind.
    if (error instanceof TareError && (error.code === 'busy' || error.code === 'not-found')) return false;
    throw error;
  }
  using _lock = lock;
  if (!isLeftBehind(directory)) return false;
  await destroy(directory);
  return true;
}

function isLeftBehind(directory: StateDirectory): boolean {
  // Who creates or removes it holds the lock, and we have it: whoever that was is gone.
  if (directory.isUnnamed || !directory.exists) return true;
  const state = directory.readIfWhole();
  // What made it cannot be asked; nothing of it runs any more, so nobody misses it.
  if (!state) return !readJournal(directory).some((entry) => entry.undo === 'process' && isAlive(entry.process));
  if (state.status === 'creating') return true;
  const sameBoot = state.bootId === bootId();
  // Its pids say nothing here: whoever shares them cleans up.
  if (sameBoot && state.pidNamespace !== undefined && state.pidNamespace !== pidNamespace()) return false;
  if (sameBoot && (isAlive(state.creator) || isAlive(state.init))) return false;
  return state.autoRemove || state.status === 'created';
}
