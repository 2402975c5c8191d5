/** Commands about images need several users: who is not root runs them as the root of a user namespace of their own. */
import { warn } from './report-error.js';

/**
 * True when the command has been run again, to its end, as the caller's own root: there is nothing left to do then but to end.
 * Root, and who is it in their own user namespace already, go on.
 * @param unpacks it makes files of several owners, so a caller to whom nobody has lent further users is warned
 */
export async function inOwnUserNamespace({ unpacks = true }: { readonly unpacks?: boolean } = {}): Promise<boolean> {
  if (process.geteuid?.() === 0) return false;
  const { runAsOwnRoot } = await import('../container/own-users.js');
  process.exitCode = await runAsOwnRoot((sentence) => unpacks && warn('tare', sentence));
  return true;
}
