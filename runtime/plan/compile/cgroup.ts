/**
 * The container's cgroup: made and limited by *outside*, before there is a process in it. The process enters by
 * CLONE_INTO_CGROUP (version 2), or writes 0 to files that were opened for it (version 1: 0.02-0.06 ms, where moving another
 * pid costs 6-17 ms), and only then unshares its cgroup namespace, whose root is the cgroup it is in. cgroup_namespaces(7).
 */
import type { CgroupAction, CgroupPlan } from '../../kernel/cgroup/index.js';
import { KEEP_ID } from '../../kernel/constants/files.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { CLONE_NEWCGROUP, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY } from './abi.js';
import { type Compilation, creates } from './compilation.js';
import { changesUserInBridge } from './namespaces.js';

/** How a process gets in: see `CgroupPlan`. */
export type Entrance = Pick<CgroupPlan, 'tasks' | 'into' | 'procs'>;

/** What the later steps need of the cgroup. */
export interface CgroupEntrance {
  /** For clone3, with CLONE_INTO_CGROUP; none without. */
  readonly into: Slot<'fd'> | 'none';
  /** Files that *inside* writes 0 to. */
  readonly files: readonly Slot<'fd'>[];
}

/** The call step that has systemd make the scope with the container's first process in it. */
export const SCOPE_CALL = 'scope';

/** Outside: the cgroup's directories and limits. */
export function makeCgroup(compilation: Compilation): CgroupEntrance {
  const { builder, cgroup, features } = compilation;
  warnOfLittleMemory(compilation);
  if (cgroup === null) return { into: 'none', files: [] };
  perform(
    compilation,
    cgroup.actions.filter(({ inScope }) => !inScope),
  );
  // Who has become a user of the container may not put a process there; writing to a file that outside has opened it may.
  return openEntrances(builder.outside, cgroup, features.cloneIntoCgroup && !changesUserInBridge(compilation));
}

/** Outside: opens with its own rights what a process needs to get into a cgroup. @param byClone as far as that can be: by CLONE_INTO_CGROUP */
export function openEntrances(lane: LaneBuilder, cgroup: Entrance, byClone: boolean): CgroupEntrance {
  const outside = lane.for('linux.cgroupsPath');
  const useClone = byClone && cgroup.into !== undefined;
  const into = useClone
    ? outside.openat2(
        { dir: 'cwd', path: cgroup.into ?? '', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
        { as: 'cgroup', why: 'the container is born in it' },
      )
    : 'none';
  return { into, files: entrances(cgroup, useClone).map((path) => openEntrance(path)) };

  function openEntrance(path: string): Slot<'fd'> {
    return outside.openat2(
      { dir: 'cwd', path, flags: O_WRONLY | O_CLOEXEC, mode: 0, resolve: 0 },
      { as: shortName(path), why: 'opened with the rights of outside; the container enters by writing to it' },
    );
  }
}

/** Outside, once the process is born: systemd moves it into the scope, whose limits are then set; until then *inside* waits. */
export function enterScope(compilation: Compilation): void {
  const { builder, cgroup } = compilation;
  if (!cgroup?.scope) return;
  const outside = builder.outside.for('linux.cgroupsPath');
  outside.call({ name: SCOPE_CALL, fd: 'none' }, `systemd makes ${cgroup.scope.unit}, with the process in it`);
  perform(
    compilation,
    cgroup.actions.filter(({ inScope }) => inScope),
  );
  builder.sync('outside', 'inside', 'it is in its scope');
}

function perform({ builder }: Compilation, actions: readonly CgroupAction[]): void {
  let open: Slot<'fd'> | undefined;
  actions.forEach((action, i) => {
    const outside = builder.outside.for(action.field);
    if (action.do === 'mkdir') {
      outside.mkdirat(
        { dir: 'cwd', path: action.path, mode: action.mode },
        { why: action.why, tolerate: action.shared ? ['EEXIST'] : [] },
      );
    } else if (action.do === 'device-program') {
      const directory = outside.openat2(
        { dir: 'cwd', path: action.path, flags: O_RDONLY | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
        { as: 'cgroup directory', why: 'the cgroup that the program is for' },
      );
      outside.cgroup_device({ cgroup: directory, program: action.program }, action.why);
      outside.close({ fd: directory }, 'the program stays with the cgroup');
    } else if (action.do === 'chown') {
      outside.fchownat(
        { dir: 'cwd', path: action.path, uid: action.uid, gid: KEEP_ID, flags: 0 },
        { why: action.why, tolerate: ['ENOENT'] },
      );
    } else {
      // Several values for one file in a row (device rules) take one open; each write is a value.
      const isSame = (other: CgroupAction | undefined) => other?.do === 'write' && other.path === action.path;
      if (!isSame(actions[i - 1])) {
        open = outside.openat2(
          { dir: 'cwd', path: action.path, flags: O_WRONLY | O_CLOEXEC, mode: 0, resolve: 0 },
          { as: shortName(action.path), why: action.why },
        );
      }
      if (open) {
        const tolerate = action.optional ? ['EINVAL', 'ENOENT'] : [];
        const why = `${action.value}: ${action.why}`;
        outside.write({ fd: open, data: Buffer.from(action.value) }, { why, tolerate });
      }
      if (open && !isSame(actions[i + 1])) outside.close({ fd: open }, 'written');
    }
  });
}

/** Stage's copy and a small program fit in a quarter of it. What has less is killed before it can say a word. */
const LITTLE_MEMORY = 2 ** 20;

function warnOfLittleMemory({ config, warnings }: Compilation): void {
  const limit = config.linux?.resources?.memory?.limit;
  if (limit === undefined || limit <= 0 || limit >= LITTLE_MEMORY) return;
  warnings.push(
    `linux.resources.memory.limit: with ${limit} bytes the kernel may kill the container as it starts (137): a program needs about a MiB`,
  );
}

/** `/sys/fs/cgroup/memory/tare/web/tasks` is `memory tasks`: what a reader wants to know of it. */
function shortName(path: string): string {
  const parts = path.replace('/sys/fs/cgroup/', '').split('/');
  return parts.length > 1 ? `${parts[0]} ${parts.at(-1)}` : path;
}

function entrances(cgroup: Entrance, useClone: boolean): readonly string[] {
  return useClone || cgroup.procs === undefined ? cgroup.tasks : [...cgroup.tasks, cgroup.procs];
}

/** Inside: goes in, and makes what it sees of cgroups begin there. */
export function enterCgroup(compilation: Compilation, entrance: CgroupEntrance): void {
  enterBySelf(compilation.builder.inside, entrance);
  if (creates(compilation, 'cgroup')) {
    compilation.builder.inside
      .for('linux.namespaces')
      .unshare({ flags: CLONE_NEWCGROUP }, 'the cgroup that it is in now becomes the root of what it sees');
  }
}

/** What was not done by clone3. */
export function enterBySelf(lane: LaneBuilder, { files }: CgroupEntrance): void {
  const at = lane.for('linux.cgroupsPath');
  for (const fd of files) at.write({ fd, data: Buffer.from('0') }, 'it enters by itself: 0 means the writer');
}
