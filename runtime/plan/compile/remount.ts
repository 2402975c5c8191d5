/**
 * `remount`: the mount that is at the destination already gets other options. With `bind` those of the mount alone, otherwise those
 * of its file system as well, which then takes all of them anew. mount(2), "Remounting an existing mount".
 */
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  MOUNT_ATTR__ATIME,
  MS_DIRSYNC,
  MS_LAZYTIME,
  MS_MANDLOCK,
  MS_REMOUNT,
  MS_SYNCHRONOUS,
  O_CLOEXEC,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from './abi.js';
import { setPropagation } from './attach.js';
import { legacyFlags, mountAt, setAttributes } from './attributes.js';
import { type Compilation, has } from './compilation.js';
import { bindChange } from './locked.js';
import type { MountOptions } from './options.js';

export function remount(
  lane: LaneBuilder,
  rootfs: Slot<'fd'>,
  { destination }: Mount,
  options: MountOptions,
  { compilation, bind }: { readonly compilation: Compilation; readonly bind: boolean },
): void {
  if (options.copyUp || options.idmap !== 'no') {
    const option = options.copyUp ? 'tmpcopyup' : options.idmap;
    throw new TareError('config', `config.json: the remount of ${destination} cannot have the option "${option}"`);
  }
  const mount = lane.openat2(
    {
      dir: rootfs,
      path: destination,
      flags: O_PATH | O_CLOEXEC,
      mode: 0,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    },
    { as: destination, why: 'the mount that is there, resolved within the root' },
  );
  const why = `other options for what is mounted at ${destination} (EINVAL: nothing is)`;
  if (bind) {
    setAttributes(compilation.features, lane, mount, { ...bindChange(options, has(compilation, 'user')), why });
  } else {
    const flags = options.superblock.reduce(
      (all, name) => all | (SUPERBLOCK[name] ?? 0),
      legacyFlags(options.set, options.atime === 0 ? MOUNT_ATTR__ATIME : 0),
    );
    mountAt(lane, mount, { flags: MS_REMOUNT | flags, data: options.data.join(',') }, why);
  }
  if ((options.setBelow | options.clearBelow) !== 0) {
    const { setBelow: set, clearBelow: clear } = options;
    if (!compilation.features.mountSetattr)
      throw new TareError('unsupported', `${destination}: recursive mount options need mount_setattr (Linux 5.12)`);
    setAttributes(compilation.features, lane, mount, { set, clear, recursive: true, why: 'and for all below it' });
  }
  setPropagation(compilation, lane, mount, options.propagation);
  lane.close({ fd: mount }, 'done');
}

/** What switches one of these off is their absence. */
const SUPERBLOCK: Readonly<Record<string, number>> = {
  sync: MS_SYNCHRONOUS,
  dirsync: MS_DIRSYNC,
  lazytime: MS_LAZYTIME,
  mand: MS_MANDLOCK,
};
