/**
 * Idmapped mounts: the owners of a volume's files are shown, and written, as others. The mapping is that of a user namespace,
 * handed to mount_setattr(2) as a descriptor before the mount is attached. Only who has rights over the file system may do that, so
 * for a container with a user namespace of its own it is done outside. mount_setattr(2), "ID mappings".
 */
import { TareError } from '../../kernel/error.js';
import type { IdMapping, Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { AT_EMPTY_PATH, AT_RECURSIVE, MOUNT_ATTR_IDMAP, O_CLOEXEC } from './abi.js';
import type { Compilation } from './compilation.js';
import { mapText } from './namespaces.js';
import type { MountOptions } from './options.js';

/** Is the mount to be idmapped? Mappings alone ask for it too: older configurations have no option. */
export function isIdmapped(mount: Mount, options: MountOptions): boolean {
  return options.idmap !== 'no' || (mount.uidMappings?.length ?? 0) > 0 || (mount.gidMappings?.length ?? 0) > 0;
}

/** Maps a mount that is attached nowhere yet. */
export function setIdmap(lane: LaneBuilder, copy: Slot<'fd'>, mapping: Slot<'fd'>, options: MountOptions): void {
  const flags = AT_EMPTY_PATH | (options.idmap === 'ridmap' ? AT_RECURSIVE : 0);
  lane.mount_setattr(
    { dir: copy, path: '', flags, set: MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns: mapping },
    'the owners of its files are mapped (EINVAL: its file system cannot do that on this kernel)',
  );
}

/** The same, made outside and passed in: without a user namespace the container may map, but cannot write the maps of a namespace. */
export function passMapping(compilation: Compilation, field: string, mount: Mount): Slot<'fd'> {
  const outside = compilation.builder.outside.for(field);
  const mapping = makeMapping(compilation, outside, mount);
  const passed = compilation.builder.pass('outside', 'inside', mapping, {
    field,
    why: 'whose owners are mapped to whom',
  });
  outside.close({ fd: mapping }, 'the container has it');
  return passed;
}

/**
 * Outside: a user namespace whose maps are the mapping, made for it, or the one that the container joins.
 * @throws TareError `unsupported`, `permission` where it cannot be had
 */
export function makeMapping(compilation: Compilation, outside: LaneBuilder, mount: Mount): Slot<'fd'> {
  const { destination } = mount;
  if (!compilation.features.mountSetattr) {
    throw new TareError(
      'unsupported',
      `the mount at ${destination} is to be idmapped, which needs mount_setattr (Linux 5.12)`,
    );
  }
  if (compilation.caller.uid !== 0) {
    throw new TareError('permission', `the mount at ${destination} is to be idmapped, which only root may do`);
  }
  const { linux } = compilation.config;
  const own = mount.uidMappings?.length ? mount : linux;
  const joined = linux?.namespaces?.find(({ type }) => type === 'user')?.path;
  if (own === linux && joined) {
    return outside.openat2(
      { dir: 'cwd', path: joined, flags: O_CLOEXEC, mode: 0, resolve: 0 },
      { as: 'mapping', why: 'the mapping of the user namespace that the container joins' },
    );
  }
  const maps = { uidMap: textOf(own?.uidMappings), gidMap: textOf(own?.gidMappings) };
  if (maps.uidMap.length === 0 || maps.gidMap.length === 0) {
    throw new TareError(
      'config',
      `config.json: the mount at ${destination} is to be idmapped, but neither it nor the container has mappings`,
    );
  }
  return outside.make_userns(maps, { as: 'mapping', why: 'a user namespace that is nothing but a mapping' });
}

function textOf(mappings: readonly IdMapping[] | undefined): Buffer {
  return Buffer.from(mapText(mappings));
}
