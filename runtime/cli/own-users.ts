/** Commands about images need several users: who is not root runs them as the root of a user namespace of their own. */
import { warn } from './report-error.js';

/**
 * True when the command has been run again, to its end, as the caller's own root: there is nothing left to do then but to end.
 * Root, and who is it in their own user namespace already, go on.
 */
export async function inOwnUserNamespace(): Promise<boolean> {
  if (process.geteuid?.() === 0) return false;
  const { runAsOwnRoot } = await import('../container/own-users.js');
  process.exitCode = await runAsOwnRoot((sentence) => warn('tare', sentence));
  return true;
}
