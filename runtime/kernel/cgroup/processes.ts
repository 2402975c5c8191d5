/**
 * Who is in a cgroup. The hierarchies of a container hold the same processes, so one of them is asked: version 2 where there is
 * one, since no process can be there and not be seen. cgroups(7), `cgroup.procs`.
 */
import { readIfThere, unless, withChildren } from './files.js';
import type { CgroupPlace } from './types.js';

/** The pids in a container's cgroup and in those below it, in our pid namespace, ascending. Empty when it is gone. */
export function processesOf(places: readonly CgroupPlace[]): number[] {
  const place = membersPlace(places);
  return place ? processesIn(place.directory) : [];
}

/** The hierarchy to ask for the container's processes, and to kill them by. */
export function membersPlace(places: readonly CgroupPlace[]): CgroupPlace | undefined {
  // A named hierarchy of version 1 is somebody else's (systemd's), who may move processes in it.
  return (
    places.find(({ version }) => version === 2) ??
    places.find(({ controllers }) => controllers.includes('freezer')) ??
    places.find(({ controllers }) => !controllers.some((name) => name.startsWith('name='))) ??
    places[0]
  );
}

/** The pids in one cgroup and in those below it. */
export function processesIn(directory: string): number[] {
  const pids = withChildren(directory).flatMap(
    (each) =>
      // A threaded cgroup refuses to list processes (EOPNOTSUPP); its domain above lists them.
      (unless(['EOPNOTSUPP'], () => readIfThere(each, 'cgroup.procs')) ?? '')
        .split('\n')
        .map(Number)
        .filter((pid) => pid > 0), // 0 stands for a process that our pid namespace does not have
  );
  return [...new Set(pids)].sort((a, b) => a - b);
}
