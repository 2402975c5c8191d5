/**
 * Steps of the outside lane among the mounts of the container: outside enters its mount namespace and comes back. Needed where a mount
 * takes rights that the container's user namespace has not, and its source is seen by the container alone. setns(2), mount_namespaces(7).
 */
import { CLONE_NEWNS, O_CLOEXEC } from './abi.js';
import type { Compilation } from './compilation.js';

/** @param act adds the steps. No program of the image runs yet, and none of the descriptors that outside has are passed in. */
export function amongContainersMounts<T>({ builder }: Compilation, field: string, act: () => T): T {
  const path = '/proc/self/ns/mnt';
  const open = { dir: 'cwd', path, flags: O_CLOEXEC, mode: 0, resolve: 0 } as const;
  const inside = builder.inside.for(field);
  const outside = builder.outside.for(field);
  const theirs = inside.openat2(open, {
    as: 'container’s mounts',
    why: 'the mounts so far, for the outside to look at',
  });
  const passed = builder.pass('inside', 'outside', theirs, { field, why: 'so far the mounts are made' });
  inside.close({ fd: theirs }, 'the outside has it');
  const own = outside.openat2(open, { as: 'host’s mounts', why: 'the way back' });
  outside.setns({ fd: passed, flags: CLONE_NEWNS }, 'among the container’s mounts, with the rights of the host');
  const result = act();
  outside.setns({ fd: own, flags: CLONE_NEWNS }, 'and back');
  outside.close({ fd: own }, 'back');
  outside.close({ fd: passed }, 'back');
  return result;
}
