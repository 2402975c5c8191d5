/**
 * The source of a bind mount, and the target that goes with it: a directory for a directory, else a file. A source that lies in the
 * root file system is looked for within the root, as the image could have put a link in its place.
 */
import { existsSync, statSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from './abi.js';
import type { Compilation } from './compilation.js';
import type { MountOptions } from './options.js';

/** What is mounted. */
export interface Source {
  /** On the host. */
  readonly path: string;
  /** Within the root file system, if it lies there. */
  readonly inRoot?: string;
  /** It is a folder of the container's own, which is made with it: see `Bundle.overlay` and `Bundle.ownFolder`. */
  readonly toBe?: boolean;
}

export function sourceOf({ bundle }: Compilation, { source, destination }: Mount): Source {
  if (!source) throw new TareError('config', `config.json: the bind mount at ${destination} has no source`);
  const path = isAbsolute(source) ? source : join(bundle.path, source);
  const within = relative(bundle.rootfs, path);
  const isWithin = within !== '..' && !within.startsWith('../');
  const ofOverlay = bundle.overlay !== undefined && path.startsWith(`${bundle.path}/`) && !existsSync(path);
  const toBe = ofOverlay || path === bundle.ownFolder;
  return { path, ...(isWithin && { inRoot: `/${within}` }), ...(toBe && { toBe }) };
}

export function rootOnHost({ bundle }: Compilation, outside: LaneBuilder): Slot<'fd'> {
  return outside.openat2(
    { dir: 'cwd', path: bundle.rootfs, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'rootfs', why: 'the source is looked for within the root' },
  );
}

/** @param root for a source in the root file system, whose links must not lead out of it */
export function copyOf(
  lane: LaneBuilder,
  { path, inRoot }: Source,
  destination: string,
  { bind }: MountOptions,
  root?: Slot<'fd'>,
): Slot<'fd'> {
  const recursive = bind === 'rbind';
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
  const say = {
    as: `${destination} copy`,
    why: `a copy of the mount at ${path}${recursive ? ', with those below it' : ''}`,
  };
  if (inRoot === undefined || root === undefined) return lane.open_tree({ dir: 'cwd', path, flags }, say);
  const found = lane.openat2(
    { dir: root, path: inRoot, flags: O_PATH | O_CLOEXEC, mode: 0, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS },
    { as: `${destination} source`, why: 'a place in the root file system, resolved within the root' },
  );
  return lane.open_tree({ dir: found, path: '', flags: flags | AT_EMPTY_PATH }, say);
}

export function targetOf(lane: LaneBuilder, rootfs: Slot<'fd'>, source: Source, destination: string): Slot<'fd'> {
  const say = (what: string) => ({
    as: `${destination} target`,
    why: `the mount point, ${what}; resolved within the root whatever symbolic links it has`,
  });
  const asDirectory = say('a directory, as its source is one');
  const asFile = say('a file, as its source is no directory');
  const directory = { root: rootfs, path: destination, mode: 0o755 };
  const file = { root: rootfs, path: destination, mode: 0o644 };
  if (source.inRoot === undefined) {
    return isDirectory(source, destination)
      ? lane.mkdir_in_root(directory, asDirectory)
      : lane.create_in_root(file, asFile);
  }
  // Which of them it is may be known only when the mounts before this one are there.
  const isOne = lane.openat2(
    {
      dir: rootfs,
      path: source.inRoot,
      flags: O_PATH | O_DIRECTORY | O_CLOEXEC,
      mode: 0,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    },
    { as: `${destination} directory`, why: 'is the source a directory?', tolerate: ['ENOTDIR'] },
  );
  const target = lane.with({ if: isOne }).mkdir_in_root(directory, asDirectory);
  lane.with({ unless: target }).create_in_root(file, { ...asFile, into: target });
  return target;
}

export function noteOf(source: Source, destination: string): string {
  const known = source.inRoot === undefined;
  if (!known || isDirectory(source, destination)) return 'as its source';
  return 'which must be a file, as its source is no directory';
}

function isDirectory({ path, toBe }: Source, destination: string): boolean {
  if (toBe) return true;
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new TareError(
      'not-found',
      `the source ${path} of the mount at ${destination} cannot be read: ${(cause as Error).message}`,
      { cause, path },
    );
  }
}
