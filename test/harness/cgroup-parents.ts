/**
 * Before and after all tests: the parents of containers' cgroups stay when the containers go, as users expect. Those that the tests have
 * made, and that hold nobody, go here.
 */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { detectCgroups } from '../../runtime/kernel/cgroup/index.js';

const PARENT = 'tare';

const parents = () =>
  detectCgroups().hierarchies.flatMap(({ mountPoint }) =>
    readdirSync(mountPoint).includes(PARENT) ? [join(mountPoint, PARENT)] : [],
  );

export default function setup(): () => void {
  const before = new Set(parents());
  return () => {
    for (const path of parents()) {
      if (before.has(path)) continue;
      try {
        rmdirSync(path);
      } catch (error) {
        // Somebody else's containers are in it.
        if (!['EBUSY', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
    }
  };
}
