/**
 * The end of a container: what its journal tells is undone, its folder goes, and then its poststop hooks run, which must find
 * nothing of it. runtime.md#lifecycle, steps 12 and 13.
 */
import { TareError } from '../kernel/error.js';
import { type Hooked, runLateHooks } from './hooks.js';
import { undoAll } from './journal.js';
import type { StateDirectory } from './state-directory.js';

/** The caller holds the lock. @param onWarning called for each poststop hook that fails */
export async function destroy(directory: StateDirectory, onWarning?: (sentence: string) => void): Promise<void> {
  const hooked = hooksOf(directory);
  await undoAll(directory);
  if (hooked) await runLateHooks('poststop', hooked, onWarning);
}

/** undefined when it was cut off before it had hooks, or what it had cannot be read any more. */
function hooksOf(directory: StateDirectory): Hooked | undefined {
  try {
    return { state: directory.read(), config: directory.readConfig() };
  } catch (error) {
    if (error instanceof TareError && (error.code === 'not-found' || error.code === 'protocol')) return undefined;
    throw error;
  }
}
