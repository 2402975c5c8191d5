/**
 * The mounts of config.json, in its order. Each is made detached (fsopen or open_tree), given its attributes, and only
 * then attached, by descriptor, to a target that was resolved within the root: no path of the hostile root file system is
 * ever handed to mount(2) (CVE-2021-30465). fsopen(2), open_tree(2), move_mount(2).
 */
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_RDONLY,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
} from './abi.js';
import { attach, setPropagation } from './attach.js';
import { bindMount } from './bind-mount.js';
import { cgroupMount } from './cgroup-mount.js';
import type { Compilation } from './compilation.js';
import { type MountOptions, mountOptions } from './options.js';

export function mountAll(compilation: Compilation, rootfs: Slot<'fd'>): void {
  compilation.config.mounts?.forEach((mount, i) => {
    const field = `mounts[${i}]`;
    const options = mountOptions(mount.options ?? [], field);
    const lane = compilation.builder.inside.for(field);
    if (options.bind !== 'no' || mount.type === 'bind') bindMount(compilation, lane, rootfs, mount, options);
    else if (mount.type?.startsWith('cgroup')) cgroupMount(compilation, lane, rootfs, mount.destination, options);
    else fileSystemMount(compilation, lane, rootfs, mount, options, field);
  });
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
): void {
  const type = mount.type;
  if (type === undefined || type === 'none') {
    throw new TareError('config', `config.json: ${field}.type is missing: it names the file system`, {
      path: `${field}.type`,
    });
  }
  const made = newFileSystem(lane, type, {
    source: mount.source,
    data: !PSEUDO.has(type) && options.set & MOUNT_ATTR_RDONLY ? ['ro', ...options.data] : options.data,
    attributes: options.set | options.setBelow,
    why: `${WHAT[type] ?? `a file system of type ${type}`} for ${mount.destination}`,
  });
  const target =
    type === 'proc' || type === 'sysfs'
      ? realDirectory(lane, rootfs, mount.destination)
      : lane.mkdir_in_root(
          { root: rootfs, path: mount.destination, mode: 0o755 },
          {
            as: `${mount.destination} target`,
            why: 'the mount point, resolved within the root whatever symbolic links it has',
          },
        );
  attach(lane, made, target, mount.destination);
  setPropagation(compilation, lane, made, options.propagation);
}

const WHAT: Readonly<Record<string, string>> = {
  proc: 'the kernel’s view of the container’s processes',
  sysfs: 'the kernel’s view of devices',
  tmpfs: 'a new, empty memory file system',
  devpts: 'an instance of pseudoterminals of the container’s own',
  mqueue: 'the POSIX message queues of the container’s ipc namespace',
};

// #region new-file-system
/** fsopen, fsconfig, fsmount: a file system that is mounted nowhere yet. */
export function newFileSystem(
  lane: LaneBuilder,
  type: string,
  say: { source?: string; data?: readonly string[]; attributes: number; why: string },
): Slot<'fd'> {
  const fs = lane.fsopen({ type, flags: FSOPEN_CLOEXEC }, { as: `${type} context`, why: say.why });
  if (say.source) {
    lane.fsconfig(
      { fs, command: FSCONFIG_SET_STRING, key: 'source', value: say.source, aux: 0 },
      'the name that mountinfo shows',
    );
  }
  for (const option of say.data ?? []) {
    const at = option.indexOf('=');
    const [key, value] = at < 0 ? [option, ''] : [option.slice(0, at), option.slice(at + 1)];
    if (value.length > 255) {
      throw new TareError(
        'unsupported',
        `the mount option ${key}= has more than the 255 characters that fsconfig(2) takes`,
      );
    }
    lane.fsconfig(
      { fs, command: at < 0 ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, value, aux: 0 },
      `option ${option}`,
    );
  }
  lane.fsconfig({ fs, command: FSCONFIG_CMD_CREATE, key: '', value: '', aux: 0 }, 'the options are complete: make it');
  const mount = lane.fsmount(
    { fs, flags: FSMOUNT_CLOEXEC, attributes: say.attributes },
    { as: `${type} mount`, why: 'a mount of it, with its attributes, attached nowhere yet' },
  );
  lane.close({ fd: fs }, 'the context has done its work');
  return mount;
}
// #endregion

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
      why: `${path} must be a real directory, not a symbolic link or a file of the image (CVE-2019-19921)`,
      tolerate: ['ENOENT'],
    },
  );
  lane.mkdir_in_root({ root: rootfs, path, mode: 0o755 }, { into: target, unless: target, why: 'it is not there yet' });
  return target;
}
