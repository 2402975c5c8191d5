/**
 * What a tmpfs takes over from the directory that it hides: with `tmpcopyup` its whole content, copied while the tmpfs is still
 * attached nowhere; otherwise its permissions, as other runtimes have it, so that a tmpfs on /tmp is one for everybody.
 */
import { fstatSync } from 'node:fs';
import { native } from '../../kernel/addon.js';
import { KEEP_ID } from '../../kernel/constants/files.js';
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS } from './abi.js';
import type { MountOptions } from './options.js';

/** Copies content, permissions and owner; then what the configuration says of these is said again. */
export function copyUp(lane: LaneBuilder, from: Slot<'fd'>, to: Slot<'fd'>, options: MountOptions): void {
  lane.copy_tree({ from, to }, 'it begins with what it hides');
  const mode = numberOf(options, 'mode', 8);
  if (mode !== undefined)
    lane.fchmodat({ dir: to, path: '.', mode: mode & 0o7777 }, 'but has the mode that is asked for');
  const [uid, gid] = [numberOf(options, 'uid', 10), numberOf(options, 'gid', 10)];
  if (uid === undefined && gid === undefined) return;
  lane.fchownat(
    { dir: to, path: '', uid: uid ?? KEEP_ID, gid: gid ?? KEEP_ID, flags: AT_EMPTY_PATH },
    'and the owner that is asked for',
  );
}

/** @throws TareError `config` for a mount that begins with nothing of its own */
export function checkCopyUp({ type }: Mount, options: MountOptions, field: string): void {
  if (!options.copyUp || type === 'tmpfs') return;
  throw new TareError('config', `config.json: ${field} has the option "tmpcopyup", which only a tmpfs has`, {
    path: field,
  });
}

/**
 * The permissions of a directory of the image, if it is there. They are looked at before anything is mounted, and are all that is
 * taken of it: an image that exchanges it meanwhile changes its own tmpfs only.
 */
export function modeOf(rootfs: string, path: string, options: MountOptions): number | undefined {
  if (numberOf(options, 'mode', 8) !== undefined) return undefined;
  const root = native.open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
  try {
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    const fd = native.openat2(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    try {
      return fstatSync(fd).mode & 0o7777;
    } finally {
      native.close(fd);
    }
  } catch (error) {
    // Not there, or not to be reached: it will be made, or the plan says what is wrong.
    if (error instanceof TareError && error.syscall) return undefined;
    throw error;
  } finally {
    native.close(root);
  }
}

function numberOf({ data }: MountOptions, name: string, radix: number): number | undefined {
  const text = data.findLast((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  const number = text === undefined ? Number.NaN : Number.parseInt(text, radix);
  return Number.isNaN(number) ? undefined : number;
}
