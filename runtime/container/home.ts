/**
 * The environment of a program, and HOME where its configuration names none: the home directory of its user in the image's /etc/passwd,
 * else `/`. The file is the image's, so it is looked up within the root and read with bounds. passwd(5); openat2(2), RESOLVE_IN_ROOT.
 */
import { native } from '../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { OwnedFd } from '../kernel/fd.js';
import { openInRoot } from '../kernel/in-root.js';
import { readRegularByPath } from '../kernel/read-regular.js';
import type { Bundle } from '../oci/index.js';

/** The bundle with the environment that its program gets. */
export function withHome(bundle: Bundle): Bundle {
  const { process } = bundle.config;
  if (!process) return bundle;
  const env = environmentOf(process.env, () =>
    bundle.overlay ? (bundle.home ?? '/') : homeOf(bundle.rootfs, process.user.uid),
  );
  return { ...bundle, config: { ...bundle.config, process: { ...process, env } } };
}

/** Each variable once, as the last entry for it says, and HOME: an empty one is none. As runc has it; engines append what overrides. */
export function environmentOf(entries: readonly string[] = [], home: () => string): string[] {
  const variables = new Map<string, string>();
  for (const entry of entries) {
    const name = entry.split('=', 1)[0] as string;
    // Where the last one stands.
    variables.delete(name);
    variables.set(name, entry);
  }
  if ((variables.get('HOME') ?? 'HOME=') === 'HOME=') variables.set('HOME', `HOME=${home()}`);
  return [...variables.values()];
}

/** The home directory of a user id, as the root file system has it. */
export function homeOf(rootfs: string, uid: number): string {
  for (const line of passwd(rootfs).split('\n')) {
    const [, , id, , , home] = line.split(':');
    if (id === String(uid)) return home?.startsWith('/') && !home.includes('\0') ? home : '/';
  }
  return '/';
}

/** More than any image has; users beyond it have no home. */
const MOST = 2 ** 20;

function passwd(rootfs: string): string {
  return textInRoot(rootfs, 'etc/passwd');
}

/** What a file of the image holds; empty where there is none, or none that is to be read. */
export function textInRoot(rootfs: string, path: string): string {
  using root = new OwnedFd(native.open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC));
  try {
    using file = openInRoot(root.fd, path);
    return file ? readRegularByPath(file.fd, MOST).toString() : '';
  } catch {
    // One that may not be read, or is no file, or has no end: an image need not have users, and then nobody has a home.
    return '';
  }
}
