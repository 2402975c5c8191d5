/** Whether this process is in the machine's first user namespace, where capabilities are those over the machine. user_namespaces(7). */
import { readFileSync } from 'node:fs';

/** @returns also true on a kernel that has no user namespaces: there is only the first then */
export function inFirstUserNamespace(): boolean {
  try {
    // Only the first maps all ids, each to itself.
    return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
}

/** Whether this process is in a user namespace of a single user: nobody there may have another owner, nor group. */
export function hasOneUser(): boolean {
  if (inFirstUserNamespace()) return false;
  const lines = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return lines.length === 1 && /\s1$/.test(lines[0] ?? '');
}
