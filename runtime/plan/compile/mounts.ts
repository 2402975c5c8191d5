/**
 * The mounts of config.json, in its order. Each is made detached (fsopen or open_tree), given its attributes, and only
 * then attached, by descriptor, to a target that was resolved within the root: no path of the hostile root file system is
 * ever handed to mount(2) (CVE-2021-30465). fsopen(2), open_tree(2), move_mount(2).
 */
import { posix } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { MOUNT_ATTR_RDONLY, O_CLOEXEC, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS } from './abi.js';
import { attach, setPropagation } from './attach.js';
import { setAttributes } from './attributes.js';
import { bindMount } from './bind-mount.js';
import { cgroupMount } from './cgroup-mount.js';
import type { Compilation } from './compilation.js';
import { checkCopyUp, copyUp, modeOf } from './copy-up.js';
import { isIdmapped } from './idmap.js';
import { newFileSystem } from './new-file-system.js';
import { type MountOptions, mountOptions } from './options.js';
import { checkShown } from './owned.js';
import { remount } from './remount.js';
import { mayLackSysfs, sysfsOrHosts } from './sysfs.js';

/** A mount into which something is still to be put, before it becomes read-only. */
export interface Unfinished {
  readonly mount: Slot<'fd'>;
  readonly attributes: number;
  readonly field: string;
}

/** Returns the mounts that `finishMounts` makes read-only. */
export function mountAll(compilation: Compilation, rootfs: Slot<'fd'>): Unfinished[] {
  const unfinished: Unfinished[] = [];
  checkLabel(compilation);
  compilation.config.mounts?.forEach((asked, i) => {
    const mount = { ...asked, destination: inRoot(compilation, asked.destination) };
    const field = `mounts[${i}]`;
    const options = mountOptions(mount.options ?? []);
    const lane = compilation.builder.inside.for(field);
    const bind = options.bind !== 'no' || mount.type === 'bind';
    if (isIdmapped(mount, options) && !bind) {
      throw new TareError('config', `config.json: ${field} is to be idmapped, which only a bind mount can be`, {
        path: field,
      });
    }
    if (options.remount) remount(lane, rootfs, mount, options, { compilation, bind });
    else if (bind) bindMount(compilation, field, rootfs, mount, options);
    else if (mount.type?.startsWith('cgroup')) cgroupMount(compilation, lane, rootfs, mount.destination, options);
    else unfinished.push(...fileSystemMount(compilation, lane, rootfs, mount, options, field));
  });
  return unfinished;
}

/** When there is nothing more to make in them: devices, and the targets of other mounts. */
export function finishMounts(compilation: Compilation, unfinished: readonly Unfinished[]): void {
  for (const { mount, attributes: set, field } of unfinished) {
    const why = 'read-only, now that all is in it';
    setAttributes(compilation.features, compilation.builder.inside.for(field), mount, { set, why });
  }
}

/** A destination that names the root file system's place on the host as well: other runtimes take it for the same. */
function inRoot({ bundle }: Compilation, destination: string): string {
  const path = posix.resolve('/', destination);
  const below = `${bundle.rootfs.replace(/\/+$/, '')}/`;
  return below !== '/' && path.startsWith(below) ? path.slice(below.length - 1) : destination;
}

function checkLabel({ config, features }: Compilation): void {
  const label = config.linux?.mountLabel;
  if (!label || features.seLinux) return;
  throw new TareError(
    'unsupported',
    `config.json: linux.mountLabel is ${JSON.stringify(label)}, but SELinux is not enabled in this kernel: leave it out, or boot with lsm=selinux`,
    { path: 'linux.mountLabel' },
  );
}

/** The file systems without a disk: read-only is said of the mount, as many mounts may share the one superblock. */
const PSEUDO = new Set([
  'proc',
  'sysfs',
  'tmpfs',
  'devpts',
  'mqueue',
  'cgroup',
  'cgroup2',
  'ramfs',
  'bpf',
  'tracefs',
  'debugfs',
  'securityfs',
  'devtmpfs',
]);

function fileSystemMount(
  compilation: Compilation,
  lane: LaneBuilder,
  rootfs: Slot<'fd'>,
  mount: Mount,
  options: MountOptions,
  field: string,
): Unfinished[] {
  const type = mount.type;
  if (type === undefined || type === 'none') {
    throw new TareError('config', `config.json: ${field}.type is missing: it names the file system`, {
      path: `${field}.type`,
    });
  }
  checkCopyUp(mount, options, field);
  const premade = compilation.premade?.get(field);
  if (!premade) checkShown(compilation, type, field);
  const { destination } = mount;
  const attributes = options.set | options.setBelow;
  const isLate = type === 'tmpfs' && (attributes & MOUNT_ATTR_RDONLY) !== 0;
  const make = () =>
    newFileSystem(lane, type, {
      source: mount.source,
      data: dataOf(compilation, type, destination, options),
      attributes: isLate ? attributes & ~MOUNT_ATTR_RDONLY : attributes,
      why: `${WHAT[type] ?? `a file system of type ${type}`} for ${destination}`,
    });
  const made =
    type === 'sysfs' && mayLackSysfs(compilation) ? sysfsOrHosts(compilation, lane, attributes) : (premade ?? make());
  const target =
    type === 'proc' || type === 'sysfs'
      ? realDirectory(lane, rootfs, destination)
      : lane.mkdir_in_root(
          { root: rootfs, path: destination, mode: 0o755 },
          {
            as: `${destination} target`,
            why: 'the mount point, resolved within the root whatever symbolic links it has',
          },
        );
  if (options.copyUp) copyUp(lane, target, made, options);
  attach(lane, made, target, destination);
  setPropagation(compilation, lane, made, options.propagation);
  return isLate ? [{ mount: made, attributes, field }] : [];
}

/** What is said to the file system. */
function dataOf(compilation: Compilation, type: string, destination: string, options: MountOptions): string[] {
  const { bundle, config } = compilation;
  const mode =
    type === 'tmpfs' && !options.copyUp && !bundle.overlay ? modeOf(bundle.rootfs, destination, options) : undefined;
  const labelled = config.linux?.mountLabel && type !== 'proc' && type !== 'sysfs' && type !== 'mqueue';
  return [
    // First: what the configuration says comes later and wins.
    ...(mode === undefined ? [] : [`mode=${mode.toString(8)}`]),
    ...(labelled ? [`context=${config.linux?.mountLabel}`] : []),
    ...(!PSEUDO.has(type) && options.set & MOUNT_ATTR_RDONLY ? ['ro'] : []),
    ...options.superblock,
    ...options.data,
  ];
}

const WHAT: Readonly<Record<string, string>> = {
  proc: 'the kernel’s view of the container’s processes',
  sysfs: 'the kernel’s view of devices',
  tmpfs: 'a new, empty memory file system',
  devpts: 'an instance of pseudoterminals of the container’s own',
  mqueue: 'the POSIX message queues of the container’s ipc namespace',
};

/**
 * A mount point that must be a real directory. A root file system whose /proc is a symbolic link or a file would have the
 * runtime write to a /proc of the image's making (CVE-2019-19921, CVE-2023-27561).
 */
function realDirectory(lane: LaneBuilder, rootfs: Slot<'fd'>, path: string): Slot<'fd'> {
  const target = lane.openat2(
    {
      dir: rootfs,
      path,
      flags: O_PATH | O_DIRECTORY | O_CLOEXEC,
      mode: 0,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
    },
    {
      as: `${path} target`,
      why: `${path} must be mounted on ordinary directory, not on a symbolic link or a file of the image (CVE-2019-19921)`,
      tolerate: ['ENOENT'],
    },
  );
  lane.mkdir_in_root({ root: rootfs, path, mode: 0o755 }, { into: target, unless: target, why: 'it is not there yet' });
  return target;
}
