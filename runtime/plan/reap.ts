/** How stage ended, and who waits for it when nobody listens any more. */
import { native } from '../kernel/addon.js';
import type { Watcher } from '../kernel/native.js';
import { signalName } from '../kernel/signals.js';

/** A detached stage is still a child of this process: it is waited for, without keeping Node alive. */
export function reapLater(pidfd: number, watcher: Watcher): void {
  watcher.close();
  const reaper = native.watch(pidfd, 1, () => {
    if (native.waitPidfd(pidfd) === null) return;
    reaper.close();
    native.close(pidfd);
  });
  reaper.unref();
}

/** A wait status in words, wait(2). */
export function endText(status: number): string {
  const signal = status & 0x7f;
  if (signal === 0) return `exited with ${status >> 8}`;
  return `was killed by ${signalName(signal)}`;
}
