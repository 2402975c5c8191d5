/**
 * How an overlay's folders and options are said to the kernel: fsconfig(2) takes at most 255 bytes a value, mount(2) one page for all, so
 * the folders are named from the one that has them all, which is the working directory by then.
 * Documentation/filesystems/overlayfs.rst of the kernel, "Permission model", "Volatile mount".
 */
import { posix } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { OverlayFolders } from '../../oci/index.js';
import { MS_RDONLY } from './abi.js';
import type { Caller } from './compilation.js';

/** The lowest folder that all of them are in. */
export function commonFolder({ lower, upper, work }: OverlayFolders): string {
  const [first = [], ...others] = [...lower, upper, work].filter((path) => path !== undefined).map(partsOf);
  const differs = (part: string, i: number) => others.some((parts) => parts[i] !== part);
  const length = first.findIndex(differs);
  // Not one of them itself: it is to be named from there.
  return `/${first.slice(0, length < 0 ? -1 : length).join('/')}`;
}

function partsOf(path: string): string[] {
  return posix.normalize(path).split('/').filter(Boolean);
}

/** @throws TareError `unsupported` for a name that is too long */
export function nameFrom(folder: string, path: string): string {
  const name = posix.relative(folder, path);
  if (Buffer.byteLength(name) <= 255 && !name.includes('\\')) return name;
  throw new TareError('unsupported', `${path} is no name for a layer: fsconfig(2) takes 255 bytes and no backslash`, {
    path,
  });
}

/** What an overlay is told besides its folders: key, value (none for a flag), why. */
export function overlayOptions(
  { upper }: OverlayFolders,
  { uid, nested }: Pick<Caller, 'uid' | 'nested'>,
): (readonly [string, string, string])[] {
  return [
    ['redirect_dir', 'nofollow', 'no layer may lead to a folder of another name, and none is made to'],
    ['metacopy', 'off', 'a file that is changed is copied as a whole, so that the upper folder can become a layer'],
    ['index', 'off', 'the layers are shared with other containers, which have upper folders of their own'],
    ...(upper === undefined
      ? []
      : [['volatile', '', 'what is written lives no longer than the container: nobody waits for the disk'] as const]),
    ...(uid === 0 && !nested
      ? []
      : [['userxattr', '', 'its notes are user.overlay.*: trusted attributes take rights over the machine'] as const]),
  ];
}

export function overlayFlags({ upper }: OverlayFolders): number {
  return upper === undefined ? MS_RDONLY : 0;
}

/** All of it in one string, for mount(2). @throws TareError `unsupported` for more than it takes */
export function overlayData(
  folders: OverlayFolders,
  options: readonly (readonly [string, string, string])[],
  kernel: string,
): string {
  const common = commonFolder(folders);
  const name = (path: string) => posix.relative(common, path).replace(/[\\,:]/g, '\\$&');
  const { lower, upper, work } = folders;
  const data = [
    `lowerdir=${lower.map(name).join(':')}`,
    ...(upper === undefined || work === undefined ? [] : [`upperdir=${name(upper)}`, `workdir=${name(work)}`]),
    ...options.map(([key, value]) => (value === '' ? key : `${key}=${value}`)),
  ].join(',');
  if (Buffer.byteLength(data) <= MOST) return data;
  throw new TareError(
    'unsupported',
    `the ${lower.length} layers take ${Buffer.byteLength(data)} bytes to be named, and this kernel (${kernel}) takes ${MOST}: Linux 6.8 takes any number`,
  );
}

/** A page, and the byte that ends it. mount(2), DESCRIPTION. */
const MOST = 4095;
