/**
 * A root that is an overlay of an image's layers: made in a mount namespace that ends with the container, so nothing is mounted on the
 * host and nothing is left of it, however the container ends. With a user namespace the folders are shown with mapped owners before they
 * are put together (an overlay itself cannot be idmapped), so that what lies on the disk has the image's own ids, and nothing is copied.
 * Documentation/filesystems/overlayfs.rst of the kernel; fsopen(2), fsconfig(2), mount_setattr(2), "ID mappings".
 */
import { posix } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { IdMapping, OverlayFolders } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  CLONE_NEWNS,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NODEV,
  MS_NODEV,
  MS_REC,
  MS_SLAVE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from './abi.js';
import { attach } from './attach.js';
import { type Compilation, creates, has } from './compilation.js';
import { makeMapping } from './idmap.js';
import { commonFolder, nameFrom, overlayData, overlayFlags, overlayOptions } from './overlay-options.js';

const FIELD = 'root.path';

/**
 * With rights over the machine and a user namespace to come: that one would have none over the image's folders, so the bridge makes the
 * overlay before it enters it.
 */
export function overlayBefore(compilation: Pick<Compilation, 'bundle' | 'caller' | 'config' | 'joined'>): boolean {
  return compilation.bundle.overlay !== undefined && compilation.caller.uid === 0 && has(compilation, 'user');
}

/** @throws TareError `unsupported` for what cannot be had with an overlay for a root */
export function checkOverlay(compilation: Compilation): void {
  const { bundle, caller, features, config } = compilation;
  if (!bundle.overlay) return;
  const refuse = (why: string) => {
    throw new TareError('unsupported', `a container whose root is an overlay of layers ${why}`, {
      path: 'linux.namespaces',
    });
  };
  const { lower } = bundle.overlay;
  if (lower.length === 0) throw new TareError('internal', 'an overlay without a lower folder');
  if (lower.length > MOST_LAYERS) refuse(`has ${lower.length} layers, and the kernel takes ${MOST_LAYERS}`);
  if (!creates(compilation, 'mount')) refuse('needs a mount namespace of its own, where that is mounted');
  if (!overlayBefore(compilation)) return;
  if (!creates(compilation, 'user') || !config.linux?.uidMappings?.length || !config.linux.gidMappings?.length)
    refuse('cannot join a user namespace: it makes one, by its mappings');
  if (caller.nested) {
    refuse('can have no further user namespace in one: only the machine’s root may map the owners of its files');
  }
  if (!features.idmappedLayers)
    refuse(
      `can have no user namespace on this kernel (${features.kernel}): Linux 5.19 brought layers with mapped owners`,
    );
}

/** OVL_MAX_STACK of fs/overlayfs/params.h. */
const MOST_LAYERS = 500;

/** The bridge: what `attachOverlay` finds. */
export function makeOverlayBefore(compilation: Compilation, bridge: LaneBuilder): void {
  const { overlay } = compilation.bundle;
  if (!overlay || !overlayBefore(compilation)) return;
  const lane = bridge.for(FIELD);
  lane.unshare({ flags: CLONE_NEWNS }, 'a mount namespace for the layers: nobody on the host sees them mapped');
  lane.mount(
    { source: 'none', target: '/', type: 'none', flags: MS_REC | MS_SLAVE, data: '' },
    'no mount made in it goes out',
  );
  const place = openFolder(lane, commonFolder(overlay));
  const layers = idmapped(compilation, lane, place);
  attach(lane, layers, place, 'the layers’ own place', 'as an overlay takes layers by their paths (until Linux 6.15)');
  lane.fchdir({ fd: layers }, 'the layers are named from here');
  lane.close({ fd: place }, 'covered');
  lane.close({ fd: layers }, 'it is the working directory');
  const as = becomeOwner(compilation, lane);
  const made = makeOverlay(compilation, lane, overlay, MOUNT_ATTR_NODEV);
  as.noMore();
  lane.chdir({ path: '/' }, 'done with the layers');
  if (made) compilation.premade?.set(FIELD, made);
}

/** Inside: puts it where the root of the container is to be, in its own mount namespace. Returns undefined where it lies there already. */
export function attachOverlay(compilation: Compilation): Slot<'fd'> | undefined {
  const { overlay } = compilation.bundle;
  if (!overlay) return undefined;
  const lane = compilation.builder.inside.for(FIELD);
  if (overlayBefore(compilation)) return compilation.premade?.get(FIELD);
  const place = openFolder(lane, commonFolder(overlay));
  lane.fchdir({ fd: place }, 'the layers are named from here');
  lane.close({ fd: place }, 'it is the working directory');
  return makeOverlay(compilation, lane, overlay, 0);
}

/** undefined: a kernel that takes the folders as one string mounts it over bundle.rootfs at once. */
function makeOverlay(
  compilation: Compilation,
  lane: LaneBuilder,
  folders: OverlayFolders,
  attributes: number,
): Slot<'fd'> | undefined {
  const { features, bundle, caller } = compilation;
  const options = overlayOptions(folders, caller);
  if (features.overlayLayers) return byDescriptor(lane, folders, options, attributes);
  const data = overlayData(folders, options, features.kernel);
  const place = openFolder(lane, bundle.rootfs);
  lane.dup2({ fd: place, number: PLACE_FD }, 'a number to name it by');
  lane.close({ fd: place }, 'it has that number');
  lane.mount(
    {
      source: 'overlay',
      target: `/proc/self/fd/${PLACE_FD}`,
      type: 'overlay',
      flags: overlayFlags(folders) | (attributes === 0 ? 0 : MS_NODEV),
      data,
    },
    `the image’s ${folders.lower.length} layers as one tree, named in one string (before Linux 6.8) (${NO_PLACE})`,
  );
  return undefined;
}

/** In a container, and in the lab's machine, the root is itself an overlay. */
const NO_PLACE =
  'EINVAL: the file system of Tare’s data cannot lie below an overlay, as an overlay cannot: name a folder on another by TARE_ROOT';

/** Any that nothing else has by then. */
const PLACE_FD = 901;

// #region overlay
/** A tree of all layers, that is mounted nowhere yet. Each layer is one call, so there may be as many as the kernel takes (500). */
function byDescriptor(
  lane: LaneBuilder,
  folders: OverlayFolders,
  options: readonly (readonly [string, string, string])[],
  attributes: number,
): Slot<'fd'> {
  const fs = lane.fsopen({ type: 'overlay', flags: FSOPEN_CLOEXEC }, { as: 'overlay', why: 'the root is an overlay' });
  const set = (key: string, value: string, why: string) =>
    lane.fsconfig({ fs, command: value === '' ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value, aux: 0 }, why);
  const common = commonFolder(folders);
  const folder = (key: string, path: string, why: string) => set(key, nameFrom(common, path), why);
  set('source', 'overlay', 'the name that mountinfo shows');
  folders.lower.forEach((path, i) => {
    folder('lowerdir+', path, `layer ${folders.lower.length - i} of ${folders.lower.length}: only read, and shared`);
  });
  if (folders.upper !== undefined && folders.work !== undefined) {
    folder('upperdir', folders.upper, 'what the container changes is written here, and what it deletes is noted');
    folder('workdir', folders.work, 'where changes are made ready, to appear at once');
  }
  for (const [key, value, why] of options) set(key, value, why);
  const create = { fs, command: FSCONFIG_CMD_CREATE, key: '', value: '', aux: 0 };
  lane.fsconfig(create, `the options are complete: make it (${NO_PLACE})`);
  const root = lane.fsmount(
    { fs, flags: FSMOUNT_CLOEXEC, attributes },
    { as: 'rootfs', why: 'a mount of it, attached nowhere yet' },
  );
  lane.close({ fd: fs }, 'the context has done its work');
  return root;
}
// #endregion

/** A copy of the mount of the folder that has them all, with the owners that they have in the container. */
function idmapped(compilation: Compilation, lane: LaneBuilder, place: Slot<'fd'>): Slot<'fd'> {
  const layers = lane.open_tree(
    { dir: place, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH },
    { as: 'layers', why: 'a copy of the mount that has the layers, and what the container writes' },
  );
  const mapping = makeMapping(compilation, lane, { destination: '/' });
  lane.mount_setattr(
    { dir: layers, path: '', flags: AT_EMPTY_PATH, set: MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns: mapping },
    'the image’s ids are the container’s (EINVAL: the file system of Tare’s data cannot map owners on this kernel)',
  );
  lane.close({ fd: mapping }, 'the mount keeps it');
  return layers;
}

/**
 * Who puts the overlay together is its owner in all that it does below: through the mapped folders only the users of the mapping can
 * make anything (EOVERFLOW else), so it is the container's root for that moment, with the rights of the machine's. capabilities(7).
 */
function becomeOwner(compilation: Compilation, lane: LaneBuilder): { noMore(): void } {
  const { linux } = compilation.config;
  const root = (mappings: readonly IdMapping[] = []) =>
    (mappings.find(({ containerID }) => containerID === 0) ?? mappings[0])?.hostID ?? 0;
  const [uid, gid] = [root(linux?.uidMappings), root(linux?.gidMappings)];
  const { capabilities } = compilation.caller;
  lane.setresgid({ real: 0, effective: gid, saved: 0 }, 'the container’s group, as the host knows it');
  lane.setresuid({ real: 0, effective: uid, saved: 0 }, 'the container’s root: only mapped users can write there');
  lane.capset(
    { effective: capabilities, permitted: capabilities, inheritable: 0n },
    'with the rights that are lost so: overlays keep their notes in trusted attributes',
  );
  return {
    noMore() {
      lane.setresuid({ real: 0, effective: 0, saved: 0 }, 'the overlay is made');
      lane.setresgid({ real: 0, effective: 0, saved: 0 }, 'and root again');
    },
  };
}

function openFolder(lane: LaneBuilder, path: string): Slot<'fd'> {
  return lane.openat2(
    { dir: 'cwd', path, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: posix.basename(path) || '/', why: 'a folder of Tare’s own' },
  );
}
