/**
 * Devices: the handful that every program expects, those of config.json, and the symbolic links into /proc/self/fd. Root
 * makes nodes (mknod(2)); in a user namespace nobody may, so the host's nodes are bind-mounted. What the root file system
 * brings itself is not trusted: a node is used only after fstat(2) said its number. config-linux.md, "Default Devices".
 */
import { posix } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { Device } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_SYMLINK_NOFOLLOW,
  makedev,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
} from './abi.js';
import { attach, quiet } from './attach.js';
import { type Compilation, mayMakeNodes } from './compilation.js';

const DEFAULT: readonly [name: string, major: number, minor: number][] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
];

const LINKS: readonly [name: string, target: string][] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
];

export function makeDevices(compilation: Compilation, rootfs: Slot<'fd'>): void {
  const { builder, config } = compilation;
  const mounts = config.mounts?.filter((m) => posix.resolve(m.destination) === '/dev') ?? [];
  // A /dev that is bind-mounted belongs to somebody else: nothing is made in it, as with runc.
  if (mounts.some((m) => m.type === 'bind' || m.options?.some((option) => option === 'bind' || option === 'rbind')))
    return;
  const fresh = mounts.some(({ type }) => type === 'tmpfs') && !mounts.some((m) => m.options?.includes('tmpcopyup'));
  const inside = builder.inside.for('default');
  const dev = inside.mkdir_in_root(
    { root: rootfs, path: '/dev', mode: 0o755 },
    { as: '/dev', why: 'the directory of the devices, resolved within the root' },
  );
  const configuredPaths = new Set(config.linux?.devices?.map(({ path }) => posix.normalize(path)));
  for (const [name, major, minor] of DEFAULT) {
    // What the configuration says of it wins: its owner and its mode, and the number even.
    if (configuredPaths.has(`/dev/${name}`)) continue;
    const why = `/dev/${name}, which every program expects`;
    if (!mayMakeNodes(compilation)) bindNode(compilation, inside, dev, name, [major, minor], why);
    else makeNode(inside, dev, name, { mode: S_IFCHR | 0o666, major, minor, fresh }, why);
  }
  // Kernels are built without it (CONFIG_PROC_KCORE): then the link would lead nowhere.
  const links = compilation.features.procKcore ? [...LINKS, ['core', '/proc/kcore'] as const] : LINKS;
  for (const [name, target] of links) {
    inside.symlinkat({ target, dir: dev, path: name }, { why: `/dev/${name}`, tolerate: ['EEXIST'] });
  }
  if (!fresh) {
    inside.unlinkat(
      { dir: dev, path: 'ptmx', flags: 0 },
      { why: 'the one of the root file system would make terminals of the host', tolerate: ['ENOENT', 'EROFS'] },
    );
  }
  inside.symlinkat(
    { target: 'pts/ptmx', dir: dev, path: 'ptmx' },
    { why: 'new terminals come from the container’s own devpts', tolerate: ['EEXIST'] },
  );
  config.linux?.devices?.forEach((device, i) => {
    const field = `linux.devices[${i}]`;
    // Engines that pass on all devices of the host pass on this one. It is the link that was just made, in every container.
    if (posix.resolve(device.path) === '/dev/ptmx') return;
    configured(compilation, builder.inside.for(field), rootfs, device, field);
  });
}

/**
 * A null device to hide files with; its number is verified (CVE-2025-31133). It is the container's own: the mode of the host's
 * could be changed through the bind mount by a container that has the host's root. In a user namespace it has not.
 */
export function nullDevice(compilation: Compilation, lane: LaneBuilder, rootfs: Slot<'fd'>): Slot<'fd'> {
  const from: { dir: Slot<'fd'> | 'cwd'; resolve: number } = !mayMakeNodes(compilation)
    ? { dir: 'cwd', resolve: 0 }
    : { dir: rootfs, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
  const device = lane.openat2(
    { ...from, path: '/dev/null', flags: O_PATH | O_NOFOLLOW | O_CLOEXEC, mode: 0 },
    { as: 'null device', why: 'what files are hidden with' },
  );
  lane.expect_device({ fd: device, major: 1, minor: 3 }, 'it surely is the null device (CVE-2025-31133)');
  return device;
}

interface Node {
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
  /** The directory is empty and ours, so nothing can be there already. */
  readonly fresh: boolean;
}

function makeNode(lane: LaneBuilder, dev: Slot<'fd'>, name: string, node: Node, why: string): void {
  lane.mknodat(
    { dir: dev, path: name, mode: node.mode, device: makedev(node.major, node.minor) },
    { why, tolerate: node.fresh ? [] : ['EEXIST'] },
  );
  if (node.fresh) return;
  verifyNode(lane, dev, name, { path: `/dev/${name}`, major: node.major, minor: node.minor });
}

function verifyNode(
  lane: LaneBuilder,
  dir: Slot<'fd'>,
  name: string,
  { path, major, minor }: { readonly path: string; readonly major: number; readonly minor: number },
): void {
  const fd = lane.openat2(
    {
      dir,
      path: name,
      flags: O_PATH | O_NOFOLLOW | O_CLOEXEC,
      mode: 0,
      resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    },
    { as: path, why: 'the root file system may have brought one of its own' },
  );
  lane.expect_device({ fd, major, minor }, 'then it must be the right one');
  lane.close({ fd }, 'verified');
}

function bindNode(
  compilation: Compilation,
  lane: LaneBuilder,
  dev: Slot<'fd'>,
  name: string,
  [major, minor]: [number, number],
  why: string,
): void {
  const copy = lane.open_tree(
    { dir: 'cwd', path: `/dev/${name}`, flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC },
    { as: `${name} node`, why: `${why}; a user namespace may not make nodes, so the host’s is shown` },
  );
  lane.expect_device({ fd: copy, major, minor }, 'it surely is the device of that number');
  const target = lane.create_in_root(
    { root: dev, path: name, mode: 0o666 },
    { as: `/dev/${name} target`, why: 'an empty file to mount it on' },
  );
  attach(lane, copy, target, `/dev/${name}`);
  quiet(compilation, lane, copy);
}

/** A device of config.json. It goes where config.json says, within the root, and is what config.json says or there is no container. */
function configured(
  compilation: Compilation,
  lane: LaneBuilder,
  rootfs: Slot<'fd'>,
  device: Device,
  field: string,
): void {
  checkNull(device, field);
  const { dir: folder, base: name } = posix.parse(posix.normalize(device.path));
  const { major = 0, minor = 0 } = device;
  const dir = lane.mkdir_in_root(
    { root: rootfs, path: folder, mode: 0o755 },
    { as: folder, why: 'the directory of the device, resolved within the root' },
  );
  const isCharacter = device.type === 'c' || device.type === 'u';
  // A pipe is no device: everybody may make one.
  if (device.type !== 'p' && !mayMakeNodes(compilation)) {
    const copy = lane.open_tree(
      { dir: 'cwd', path: device.path, flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC },
      { as: `${name} node`, why: 'the host’s node: a user namespace may not make nodes' },
    );
    if (isCharacter) lane.expect_device({ fd: copy, major, minor }, 'it surely is the device of that number');
    const target = lane.create_in_root(
      { root: dir, path: name, mode: 0o666 },
      { as: `${device.path} target`, why: 'a file to mount it on' },
    );
    attach(lane, copy, target, device.path, 'which must be no directory');
    quiet(compilation, lane, copy);
    return;
  }
  const kind = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO }[device.type];
  const mode = (device.fileMode ?? 0o666) & 0o7777;
  lane.unlinkat(
    { dir, path: name, flags: 0 },
    {
      why: 'what the root file system has in its place may be another device, or have another mode',
      // What cannot be removed stays, if its number can be verified.
      tolerate: isCharacter ? ['ENOENT', 'EROFS'] : ['ENOENT'],
    },
  );
  lane.mknodat(
    { dir, path: name, mode: kind | mode, device: device.type === 'p' ? 0 : makedev(major, minor) },
    { why: `${device.path}, which the configuration asks for`, ...(isCharacter && { tolerate: ['EEXIST'] }) },
  );
  if (isCharacter) verifyNode(lane, dir, name, { path: device.path, major, minor });
  lane.fchownat(
    { dir, path: name, uid: device.uid ?? 0, gid: device.gid ?? 0, flags: AT_SYMLINK_NOFOLLOW },
    { why: 'its owner; a symbolic link is not followed', tolerate: ['EROFS'] },
  );
}

/** Files are hidden with the container's /dev/null, and programs write there what nobody shall keep. */
function checkNull({ path, type, major, minor }: Device, field: string): void {
  const isNull = (type === 'c' || type === 'u') && major === 1 && minor === 3;
  if (posix.normalize(path) !== '/dev/null' || isNull) return;
  throw new TareError('config', `config.json: ${field} must be the character device 1:3, as its path is /dev/null`, {
    path: field,
  });
}
