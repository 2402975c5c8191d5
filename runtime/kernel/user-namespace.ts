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
