/**
 * Giving a cgroup of version 2 to a user, so that programs of the container (systemd, another runtime) can make cgroups in it. The
 * user gets the directory and the files that move processes and enable controllers, and no file that holds a limit.
 * cgroups(7), "Cgroups delegation"; runtime-spec: config-linux.md, "Cgroup ownership".
 */
import { join } from 'node:path';
import type { CgroupAction, CgroupFiles } from './types.js';

/** What to give where the kernel does not list it (before Linux 4.15). */
const BY_DEFAULT = ['cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'];

export function delegateTo(uid: number, directory: string, files: CgroupFiles): CgroupAction[] {
  const listed = files.read('/sys/kernel/cgroup/delegate')?.split('\n').filter(Boolean) ?? [];
  const names = listed.length > 0 ? listed : BY_DEFAULT;
  const chown = (path: string, why: string) => ({ do: 'chown' as const, path, uid, field: 'linux.cgroupsPath', why });
  return [
    chown(directory, 'its user may make cgroups in it'),
    ...names.map((name) => chown(join(directory, name), 'and move processes between them; limits stay ours')),
  ];
}
