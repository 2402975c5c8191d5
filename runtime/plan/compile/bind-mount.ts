/**
 * A bind mount: a copy of the source's mount (open_tree(2)), given its attributes while nothing can see it, attached to a
 * target within the root. A file's target is a file. The users of a new user namespace may not be able to reach the source,
 * nor to map its owners: there the outside makes the copy, and passes it in.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { parseMountInfo } from '../../kernel/mountinfo.js';
import type { Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { AT_RECURSIVE, MS_REC, MS_SHARED, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from './abi.js';
import { attach, attachWith, quiet, setPropagation, sharesMounts } from './attach.js';
import { type Attributes, setAttributes } from './attributes.js';
import { type Compilation, has } from './compilation.js';
import { isIdmapped, setIdmap } from './idmap.js';
import { lockedAttributes } from './locked.js';
import type { MountOptions } from './options.js';
import { hostPropagation } from './rootfs.js';

export function bindMount(
  compilation: Compilation,
  field: string,
  rootfs: Slot<'fd'>,
  mount: Mount,
  asked: MountOptions,
): void {
  const source = sourceOf(compilation, mount);
  checkOptions(compilation, asked, mount.destination);
  const options = compilation.features.mountSetattr ? asked : withoutBelow(asked, source, mount.destination);
  const inside = compilation.builder.inside.for(field);
  if (isIdmapped(mount, options) || isMadeOutside(compilation)) {
    const outside = compilation.builder.outside.for(field);
    const made = copyOf(outside, source, mount.destination, options);
    if (isIdmapped(mount, options)) setIdmap(compilation, outside, made, mount, options);
    // A copy of the host's mount is its peer, and the container would mount on the host. A user namespace never may.
    if (has(compilation, 'user') || !sharesMounts(compilation) || !options.propagation.some((flag) => flag & MS_SHARED))
      setPropagation(compilation, outside, made, [MS_REC | hostPropagation(compilation)]);
    for (const each of attributesOf(options)) setAttributes(compilation.features, outside, made, each);
    const copy = compilation.builder.pass('outside', 'inside', made, {
      field,
      why: 'made outside, with rights over the file system that the container’s user namespace has not',
    });
    outside.close({ fd: made }, 'the container has it');
    const target = bindTarget(inside, rootfs, source, mount.destination);
    attach(inside, copy, target, mount.destination, noteOf(source, mount.destination));
    setPropagation(compilation, inside, copy, options.propagation);
    return;
  }
  const copy = copyOf(inside, source, mount.destination, options);
  const target = bindTarget(inside, rootfs, source, mount.destination);
  const locked = lockedAttributes(compilation, source);
  const attributes = attributesOf(options).map((each) => ({ ...each, locked }));
  attachWith(compilation, inside, copy, target, mount.destination, attributes, noteOf(source, mount.destination));
  if (options.propagation.length === 0) quiet(compilation, inside, copy);
  setPropagation(compilation, inside, copy, options.propagation);
}

/** Root makes them for a user namespace. Who is not root is in theirs what they are outside, and reaches as much. */
function isMadeOutside(compilation: Compilation): boolean {
  return has(compilation, 'user') && compilation.caller.uid === 0 && compilation.features.mountSetattr;
}

function copyOf(lane: LaneBuilder, source: string, destination: string, { bind }: MountOptions): Slot<'fd'> {
  const recursive = bind === 'rbind';
  return lane.open_tree(
    { dir: 'cwd', path: source, flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) },
    { as: `${destination} copy`, why: `a copy of the mount at ${source}${recursive ? ', with those below it' : ''}` },
  );
}

function attributesOf(options: MountOptions): Attributes[] {
  return [
    {
      set: options.set,
      clear: options.clear,
      why: 'its attributes (EPERM: a user namespace may not lift restrictions)',
    },
    {
      set: options.setBelow,
      clear: options.clearBelow,
      recursive: true,
      why: 'attributes of it and of all below it (EPERM: a user namespace may not lift restrictions)',
    },
  ];
}

/** A bind mount shows a file system that is there already, so nothing can be said to the file system. */
function checkOptions({ warnings }: Compilation, options: MountOptions, destination: string): void {
  // mount(2) ignores what is for the file system of a bind mount, and so do other runtimes; a word alone is a mistake of writing.
  const first = options.data.find((option) => !option.includes('='));
  if (first !== undefined || options.copyUp) {
    throw new TareError(
      'config',
      `config.json: the bind mount at ${destination} has the option "${first ?? 'tmpcopyup'}", which bind mounts do not have`,
    );
  }
  const others = [...options.superblock, ...options.data];
  if (others.length > 0) {
    warnings.push(
      `the bind mount at ${destination} has the option ${others.join(', ')}, which is the file system’s: left out`,
    );
  }
}

/** Without mount_setattr nothing can be said of mounts below at once. Where there are none, what is said of all is said of the mount. */
function withoutBelow(options: MountOptions, source: string, destination: string): MountOptions {
  const { setBelow, clearBelow } = options;
  if ((setBelow | clearBelow) === 0) return options;
  if (options.bind === 'rbind' && hasMountsBelow(source)) {
    throw new TareError(
      'unsupported',
      `${destination}: recursive options of a source with mounts below it need mount_setattr (Linux 5.12)`,
    );
  }
  const set = (options.set & ~clearBelow) | setBelow;
  const clear = (options.clear & ~setBelow) | clearBelow;
  return { ...options, set, clear, setBelow: 0, clearBelow: 0 };
}

function hasMountsBelow(path: string): boolean {
  const above = `${realpathSync(path).replace(/\/$/, '')}/`;
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8')).some(({ mountPoint }) =>
    mountPoint.startsWith(above),
  );
}

function sourceOf({ bundle }: Compilation, mount: Mount): string {
  if (!mount.source) throw new TareError('config', `config.json: the bind mount at ${mount.destination} has no source`);
  return isAbsolute(mount.source) ? mount.source : join(bundle.path, mount.source);
}

function bindTarget(lane: LaneBuilder, rootfs: Slot<'fd'>, source: string, destination: string): Slot<'fd'> {
  const directory = isDirectory(source, destination);
  const what = directory ? 'a directory, as its source is one' : 'a file, as its source is no directory';
  const say = {
    as: `${destination} target`,
    why: `the mount point, ${what}; resolved within the root whatever symbolic links it has`,
  };
  if (directory) return lane.mkdir_in_root({ root: rootfs, path: destination, mode: 0o755 }, say);
  return lane.create_in_root({ root: rootfs, path: destination, mode: 0o644 }, say);
}

function noteOf(source: string, destination: string): string {
  return isDirectory(source, destination) ? 'a directory' : 'which must be a file, as its source is no directory';
}

function isDirectory(source: string, destination: string): boolean {
  try {
    return statSync(source).isDirectory();
  } catch (cause) {
    throw new TareError(
      'not-found',
      `the source ${source} of the mount at ${destination} cannot be read: ${(cause as Error).message}`,
      {
        cause,
        path: source,
      },
    );
  }
}
