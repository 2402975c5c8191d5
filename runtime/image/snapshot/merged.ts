/**
 * The layers of an image, and a writable folder over them if there is one, as one tree: an overlay that is mounted nowhere, and goes when
 * its descriptor is closed or its process ends. Made by a tiny plan under stage, since Node's own mount namespace is left alone.
 * Documentation/filesystems/overlayfs.rst of the kernel, fsopen(2), fsconfig(2), fsmount(2), open_tree(2)
 */
import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { native } from '../../kernel/addon.js';
import { CLONE_NEWNS } from '../../kernel/constants/clone.js';
import { OVERLAYFS_SUPER_MAGIC } from '../../kernel/constants/magic.js';
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_NODEV,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  OPEN_TREE_CLONE,
} from '../../kernel/constants/mount.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { type Features, probeFeatures } from '../../kernel/features.js';
import { inFirstUserNamespace } from '../../kernel/user-namespace.js';
import { type LaneBuilder, type Plan, PlanBuilder, runPlan, type Slot } from '../../plan/index.js';
import type { OverlayFolders } from '../types.js';

/** At most so many folders, the kernel's OVL_MAX_STACK. */
export const MAX_LOWER = 500;

/**
 * Mounts the folders as one tree, attached nowhere. Without `upper` it is read-only. Paths below it are resolved with
 * openat2(RESOLVE_IN_ROOT) on the descriptor.
 * @throws TareError `not-found` a folder is missing, `unsupported` this kernel cannot take so many or so long paths, `plan` what the kernel says
 */
export function mountOverlay(folders: OverlayFolders): Promise<OwnedFd> {
  return mountOverlayWith(folders, probeFeatures());
}

/** The same, chosen for a kernel that may be poorer than this one: the test of the fallback. */
export async function mountOverlayWith(
  folders: OverlayFolders,
  features: Pick<Features, 'overlayLayers' | 'kernel'>,
): Promise<OwnedFd> {
  checkFolders(folders);
  const found: OwnedFd[] = [];
  const run = runPlan(overlayPlan(folders, features, !inFirstUserNamespace()), {
    onGive: (_, fd) => found.push(new OwnedFd(fd)),
  });
  const error = await run.ended;
  const [root, ...more] = found;
  if (root && !error && more.length === 0) return root;
  for (const one of found) one.close();
  throw new TareError('plan', `the layers cannot be mounted as one tree: ${error?.message ?? 'nothing came back'}`, {
    cause: error,
  });
}

/**
 * The plan that gives the overlay's root as `merged`.
 * @param inUserNamespace the overlay's own attributes are `user.overlay.*`, as `trusted.*` needs rights over the machine
 */
function overlayPlan(
  folders: OverlayFolders,
  features: Pick<Features, 'overlayLayers' | 'kernel'>,
  inUserNamespace: boolean,
): Plan {
  const builder = new PlanBuilder();
  const lane = builder.outside;
  const lower = [...folders.lower];
  const fallback = !features.overlayLayers;
  // One lower folder alone is no overlay for the kernel, and none is no layer at all: empty ones lie below then.
  const needsEmpty = lower.length === 0 || (lower.length === 1 && folders.upper === undefined);
  if (fallback || needsEmpty || inUserNamespace) ownMounts(lane);
  if (needsEmpty) lower.push(emptyFolder(lane));
  const whole = { ...folders, lower };
  const options = overlayOptions(inUserNamespace);
  const merged =
    whole.upper === undefined && folders.lower.length === 0
      ? theEmptyFolder(lane)
      : fallback
        ? byMount(lane, whole, options, features.kernel)
        : byDescriptor(lane, whole, options);
  lane.give({ name: 'merged', fd: merged }, 'the root of the tree, for who asked for it');
  lane.exit({ status: 0 }, 'the descriptor keeps the mount, nothing else does');
  return builder.build();
}

/**
 * What keeps an overlay's folders plain: a layer's folders are read, and an upper folder becomes a layer, so that no file may refer to
 * another by the overlay's own attributes (redirects, files that are only metadata, an index of hard links). A redirect that a
 * hostile layer brought along is not followed either.
 */
export function overlayOptions(inUserNamespace: boolean): readonly string[] {
  return ['redirect_dir=nofollow', 'metacopy=off', 'index=off', ...(inUserNamespace ? ['userxattr'] : [])];
}

// #region overlay-by-descriptor
/** Linux 6.5: one `lowerdir+` for each folder, however many there are. */
function byDescriptor(lane: LaneBuilder, folders: OverlayFolders, options: readonly string[]): Slot<'fd'> {
  const fs = lane.fsopen(
    { type: 'overlay', flags: FSOPEN_CLOEXEC },
    { as: 'overlay context', why: 'an overlay to be' },
  );
  const set = (key: string, value: string, why: string) =>
    lane.fsconfig({ fs, command: FSCONFIG_SET_STRING, key, value, aux: 0 }, why);
  set('source', 'overlay', 'the name that mountinfo shows');
  const folder = (key: string, path: string, why: string) => {
    if (isPlain(path)) return set(key, path, why);
    lane.chdir({ path }, 'its path is more than fsconfig(2) takes as it is: at most 255 bytes, and no backslash');
    return set(key, '.', why);
  };
  for (const path of folders.lower) folder('lowerdir+', path, 'a layer, the uppermost first');
  if (folders.upper !== undefined) {
    folder('upperdir', folders.upper, 'what is written goes here');
    folder('workdir', folders.work as string, 'and is made ready here');
  }
  for (const option of options) {
    const [key, value] = option.split('=') as [string, string?];
    if (value !== undefined) set(key, value, option);
    else lane.fsconfig({ fs, command: FSCONFIG_SET_FLAG, key, value: '', aux: 0 }, option);
  }
  lane.fsconfig({ fs, command: FSCONFIG_CMD_CREATE, key: '', value: '', aux: 0 }, 'the options are complete: make it');
  return lane.fsmount(
    { fs, flags: FSMOUNT_CLOEXEC, attributes: attributesOf(folders) },
    { as: 'merged', why: 'a mount of it, attached nowhere' },
  );
}
// #endregion

/** An image may have devices, and to open one may do things: through this mount none is opened. */
function attributesOf({ upper }: OverlayFolders): number {
  return MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | (upper === undefined ? MOUNT_ATTR_RDONLY : 0);
}

/** Before Linux 6.5: all folders in the one page that mount(2) takes, by short names from a folder that they have in common. */
function byMount(lane: LaneBuilder, folders: OverlayFolders, options: readonly string[], kernel: string): Slot<'fd'> {
  const paths = [...folders.lower, ...(folders.upper === undefined ? [] : [folders.upper, folders.work as string])];
  const common = commonFolder(paths.filter((path) => path !== PLACE));
  const name = (path: string) => (path === PLACE ? path : relative(common, path) || '.').replace(/[\\,:]/g, '\\$&');
  const data = [
    `lowerdir=${folders.lower.map(name).join(':')}`,
    ...(folders.upper === undefined
      ? []
      : [`upperdir=${name(folders.upper)}`, `workdir=${name(folders.work as string)}`]),
    ...options,
  ].join(',');
  const bytes = Buffer.byteLength(data);
  if (bytes > 4095) {
    throw new TareError(
      'unsupported',
      `the ${folders.lower.length} layers need ${bytes} bytes of mount options, and this kernel (${kernel}) takes 4095; Linux 6.5 takes ${MAX_LOWER} layers`,
    );
  }
  lane.chdir({ path: common }, 'short names: mount(2) takes one page of options');
  const flags = MS_NODEV | MS_NOSUID | (folders.upper === undefined ? MS_RDONLY : 0);
  lane.mount(
    { source: 'overlay', target: PLACE, type: 'overlay', flags, data },
    'the overlay, where nobody else sees it',
  );
  return lane.open_tree(
    { dir: 'cwd', path: PLACE, flags: OPEN_TREE_CLONE },
    { as: 'merged', why: 'a copy of the mount, attached nowhere' },
  );
}

/** Of stage's own mount namespace, where it can be covered as nobody looks into it. Every machine has it. */
const PLACE = '/proc';

function ownMounts(lane: LaneBuilder): void {
  lane.unshare({ flags: CLONE_NEWNS }, 'a mount namespace that ends with this process');
  lane.mount(
    { source: 'none', target: '/', type: 'none', flags: MS_REC | MS_PRIVATE, data: '' },
    'nobody sees what is mounted in it',
  );
}

function emptyFolder(lane: LaneBuilder): string {
  lane.mount(
    { source: 'tmpfs', target: PLACE, type: 'tmpfs', flags: MS_RDONLY, data: 'mode=755,size=4k' },
    'an empty folder, to lie below',
  );
  return PLACE;
}

function theEmptyFolder(lane: LaneBuilder): Slot<'fd'> {
  return lane.open_tree(
    { dir: 'cwd', path: PLACE, flags: OPEN_TREE_CLONE },
    { as: 'merged', why: 'there is no layer: the empty folder itself' },
  );
}

function checkFolders({ lower, upper, work }: OverlayFolders): void {
  if ((upper === undefined) !== (work === undefined))
    throw new TareError('internal', 'an overlay has an upper and a work folder, or neither');
  if (lower.length > MAX_LOWER) {
    throw new TareError(
      'unsupported',
      `${lower.length} layers are more than the ${MAX_LOWER} that the kernel can put together`,
    );
  }
  for (const path of [...lower, ...(upper === undefined ? [] : [upper, work as string])]) {
    if (!path.startsWith('/')) throw new TareError('internal', `${JSON.stringify(path)} is no absolute path`);
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new TareError('not-found', `there is no folder ${path}`, { path });
    }
  }
  if (upper !== undefined && native.fsMagic(upper) === OVERLAYFS_SUPER_MAGIC) {
    throw new TareError(
      'unsupported',
      `${upper} is on an overlay, as in a container, and the kernel puts no other over that: use --root with a folder of another file system`,
      { path: upper },
    );
  }
}

/** fsconfig(2) takes strings of 255 bytes, and overlay takes the backslashes out of an upperdir. */
function isPlain(path: string): boolean {
  return Buffer.byteLength(path) <= 255 && !path.includes('\\');
}

function commonFolder(paths: readonly string[]): string {
  const [first = '/', ...rest] = paths;
  let parts = first.split('/');
  for (const path of rest) {
    const others = path.split('/');
    const differs = parts.findIndex((part, i) => part !== others[i]);
    if (differs >= 0) parts = parts.slice(0, differs);
  }
  return parts.join('/') || '/';
}
