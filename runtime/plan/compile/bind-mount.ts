/**
 * A bind mount: a copy of the source's mount (open_tree(2)), given its attributes while nothing can see it, attached to a
 * target within the root. A file's target is a file.
 */
import { statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { AT_RECURSIVE, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from './abi.js';
import { attachWith, setPropagation } from './attach.js';
import type { Compilation } from './compilation.js';
import type { MountOptions } from './options.js';

export function bindMount(
  compilation: Compilation,
  lane: LaneBuilder,
  rootfs: Slot<'fd'>,
  mount: Mount,
  options: MountOptions,
): void {
  checkOptions(options, mount.destination);
  const source = sourceOf(compilation, mount);
  const copy = lane.open_tree(
    {
      dir: 'cwd',
      path: source,
      flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (options.bind === 'rbind' ? AT_RECURSIVE : 0),
    },
    {
      as: `${mount.destination} copy`,
      why: `a copy of the mount at ${source}${options.bind === 'rbind' ? ', with those below it' : ''}`,
    },
  );
  const target = bindTarget(lane, rootfs, source, mount.destination);
  if (!compilation.features.mountSetattr && (options.setBelow | options.clearBelow) !== 0) {
    throw new TareError('unsupported', `${mount.destination}: recursive mount options need mount_setattr (Linux 5.12)`);
  }
  attachWith(compilation, lane, copy, target, mount.destination, [
    { set: options.set, clear: options.clear, why: 'its attributes' },
    { set: options.setBelow, clear: options.clearBelow, recursive: true, why: 'attributes of it and of all below it' },
  ]);
  setPropagation(compilation, lane, copy, options.propagation);
}

/** A bind mount shows a file system that is there already, so nothing can be said to the file system. */
function checkOptions({ data }: MountOptions, destination: string): void {
  const [first] = data;
  if (first === undefined) return;
  throw new TareError(
    'config',
    `config.json: the bind mount at ${destination} has the option "${first}", which bind mounts do not have`,
  );
}

function sourceOf({ bundle }: Compilation, mount: Mount): string {
  if (!mount.source) throw new TareError('config', `config.json: the bind mount at ${mount.destination} has no source`);
  return isAbsolute(mount.source) ? mount.source : join(bundle.path, mount.source);
}

function bindTarget(lane: LaneBuilder, rootfs: Slot<'fd'>, source: string, destination: string): Slot<'fd'> {
  const say = {
    as: `${destination} target`,
    why: 'the mount point, resolved within the root whatever symbolic links it has',
  };
  if (isDirectory(source, destination))
    return lane.mkdir_in_root({ root: rootfs, path: destination, mode: 0o755 }, say);
  return lane.create_in_root({ root: rootfs, path: destination, mode: 0o644 }, say);
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
