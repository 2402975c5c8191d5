/**
 * /sys/fs/cgroup in the container: each hierarchy, with the container's cgroup as its root. A cgroup namespace shows it so when it
 * is mounted anew; otherwise, and where that is cheaper, the container's own directory is bind-mounted.
 * On version 1 and hybrid hosts a small tmpfs holds one directory for each hierarchy. cgroups(7).
 */
import { basename } from 'node:path';
import type { Hierarchy } from '../../kernel/cgroup/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from './abi.js';
import { attach, attachWith, quiet, setPropagation } from './attach.js';
import { setAttributes } from './attributes.js';
import { type Compilation, creates, has } from './compilation.js';
import { newFileSystem } from './new-file-system.js';
import type { MountOptions } from './options.js';

const SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
const ALL = SAFE | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODIRATIME;

export function cgroupMount(
  compilation: Compilation,
  lane: LaneBuilder,
  rootfs: Slot<'fd'>,
  destination: string,
  options: MountOptions,
): void {
  const hierarchies = shown(compilation);
  const attributes = options.set | SAFE;
  const target = lane.mkdir_in_root(
    { root: rootfs, path: destination, mode: 0o755 },
    { as: `${destination} target`, why: 'the mount point, resolved within the root' },
  );
  const only = hierarchies[0];
  if (only === undefined) {
    compilation.warnings.push(`${destination}: this machine has no cgroups mounted, so the container sees none`);
    return;
  }
  if (hierarchies.length === 1 && only.version === 2) {
    attachHierarchy(compilation, lane, only, { attributes, options }, target, destination);
    return;
  }
  const holder = newFileSystem(lane, 'tmpfs', {
    source: 'tmpfs',
    data: ['mode=755'],
    attributes: attributes & ~MOUNT_ATTR_RDONLY,
    why: 'holds one directory for each cgroup hierarchy',
  });
  attach(lane, holder, target, destination);
  for (const hierarchy of hierarchies) {
    const name = directoryName(hierarchy);
    const place = lane.mkdir_in_root(
      { root: holder, path: name, mode: 0o755 },
      { as: `${destination}/${name} target`, why: `the place of ${name}` },
    );
    attachHierarchy(compilation, lane, hierarchy, { attributes, options }, place, `${destination}/${name}`);
    if (hierarchy.version === 1 && hierarchy.controllers.length > 1) {
      for (const controller of hierarchy.controllers) {
        lane.symlinkat(
          { target: name, dir: holder, path: controller },
          `${controller} is mounted together with others`,
        );
      }
    }
  }
  setAttributes(compilation.features, lane, holder, {
    set: attributes & MOUNT_ATTR_RDONLY ? attributes : 0,
    why: 'no directory can be added any more',
  });
  setPropagation(compilation, lane, holder, options.propagation);
}

/** Where it has a cgroup of its own; in the others it would see, as its root, the cgroup of whoever made it. */
function shown({ features, cgroup }: Compilation): readonly Hierarchy[] {
  if (cgroup === null) return features.cgroups.hierarchies;
  const own = new Set(cgroup.places.map(({ mountPoint }) => mountPoint));
  return features.cgroups.hierarchies.filter(({ mountPoint }) => own.has(mountPoint));
}

function attachHierarchy(
  compilation: Compilation,
  lane: LaneBuilder,
  hierarchy: Hierarchy,
  { attributes, options }: { readonly attributes: number; readonly options: MountOptions },
  target: Slot<'fd'>,
  where: string,
): void {
  const name = directoryName(hierarchy);
  const own = compilation.cgroup?.places.find((place) => place.mountPoint === hierarchy.mountPoint)?.directory;
  if (own !== undefined && isSameAsNew(compilation, hierarchy)) {
    const copy = copyOfNamespaceRoot(lane, own, name, attributes);
    attach(lane, copy, target, where);
    setPropagation(compilation, lane, copy, options.propagation);
    return;
  }
  if (has(compilation, 'cgroup')) {
    const made = newHierarchyMount(lane, hierarchy, name, attributes, options);
    attach(lane, made, target, where);
    setPropagation(compilation, lane, made, options.propagation);
    return;
  }
  const copy = lane.open_tree(
    { dir: 'cwd', path: own ?? hierarchy.own, flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC },
    { as: `${name} copy`, why: 'the container’s own cgroup only: it has no cgroup namespace that would hide the rest' },
  );
  attachWith(compilation, lane, copy, target, where, [{ set: attributes, why: 'its attributes' }]);
  quiet(compilation, lane, copy);
  setPropagation(compilation, lane, copy, options.propagation);
}

/**
 * A mount of version 1 made in a new cgroup namespace is the one superblock of its hierarchy, with the container's directory as the
 * root: what a bind mount of that directory is, too. But to make it the kernel looks at every cgroup of the machine
 * (`cgroup_lock_and_drain_offline`, for each hierarchy: half a millisecond where there are 1,000), to copy it at none. In a user
 * namespace a copy keeps what the host's mount is locked to; in a mount namespace of another the host's path may lead elsewhere.
 */
function isSameAsNew(compilation: Compilation, { version }: Hierarchy): boolean {
  const isNew = creates(compilation, 'cgroup') && creates(compilation, 'mount');
  const isLocked = has(compilation, 'user') || compilation.caller.nested === true;
  return version === 1 && isNew && !isLocked && compilation.features.mountSetattr;
}

function copyOfNamespaceRoot(lane: LaneBuilder, directory: string, name: string, set: number): Slot<'fd'> {
  const copy = lane.open_tree(
    { dir: 'cwd', path: directory, flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC },
    {
      as: `${name} copy`,
      why: `the ${name} hierarchy from the container’s cgroup on: the root of its cgroup namespace`,
    },
  );
  // The mode of access times is one field, which is cleared as a whole.
  const clear = (ALL & ~set) | MOUNT_ATTR__ATIME;
  lane.mount_setattr(
    { dir: copy, path: '', flags: AT_EMPTY_PATH, set, clear, propagation: MS_PRIVATE, userns: 'none' },
    'as a new mount would be: what the host’s has besides, and whose mount events it gets, is forgotten',
  );
  return copy;
}

function newHierarchyMount(
  lane: LaneBuilder,
  { version, controllers }: Hierarchy,
  name: string,
  attributes: number,
  { data }: MountOptions,
) {
  const why = `the ${name} hierarchy, whose root is the container’s cgroup`;
  // Options of version 2 (nsdelegate) are the host's to set: here the kernel ignores them. Those of version 1 name hierarchies.
  if (version === 2) return newFileSystem(lane, 'cgroup2', { source: 'cgroup', data, attributes, why });
  const named = controllers.some((controller) => controller.startsWith('name='));
  return newFileSystem(lane, 'cgroup', {
    source: 'cgroup',
    data: named ? ['none', ...controllers] : controllers,
    attributes,
    why,
  });
}

function directoryName({ version, controllers, mountPoint }: Hierarchy): string {
  return version === 2 ? basename(mountPoint) : controllers.map((name) => name.replace(/^name=/, '')).join(',');
}
