/**
 * The volumes that an image asks for: folders of the container's own, outside of its overlay, that begin with what the image has there. They go with the
 * container. config.md, "Volumes".
 */
import { mkdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { native } from '../../kernel/addon.js';
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import type { ImageConfig } from '../../oci/image/index.js';
import type { Mount } from '../../oci/index.js';
import { PlanBuilder, runPlan } from '../../plan/index.js';

export interface Volume {
  /** In the container. */
  readonly destination: string;
  /** On the host. */
  readonly path: string;
}

/** More than any image has. */
const MOST = 1000;

/** @param taken where something else is mounted, which an image's volume gives way to */
export function volumesOf({ config }: ImageConfig, folder: string, taken: readonly Mount[]): Volume[] {
  const given = new Set(taken.map(({ destination }) => posix.resolve('/', destination)));
  const wanted = [...new Set(Object.keys(config?.Volumes ?? {}).map((path) => posix.resolve('/', path)))].sort();
  if (wanted.length > MOST) throw new TareError('unsupported', `the image asks for ${wanted.length} volumes`);
  return wanted
    .filter((path) => path !== '/' && !given.has(path))
    .map((destination, i) => ({ destination, path: join(folder, 'volumes', String(i)) }));
}

/** @param mapped in a user namespace: who owns its files is mapped as in the image */
export function volumeMount({ destination, path }: Volume, mapped: boolean): Mount {
  return {
    destination,
    type: 'bind',
    source: path,
    options: ['bind', 'rprivate', 'rw', 'nodev', ...(mapped ? ['idmap'] : [])],
  };
}

/** Makes them, and copies what the image has there, with all that belongs to it. `root` is a descriptor of the image's tree. */
export async function fillVolumes(volumes: readonly Volume[], root: number): Promise<void> {
  for (const volume of volumes) {
    mkdirSync(volume.path, { recursive: true, mode: 0o755 });
    using from = folderIn(root, volume.destination);
    if (!from) continue;
    using to = new OwnedFd(native.open(volume.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const builder = new PlanBuilder();
    const given = { from: builder.given('image'), to: builder.given('volume') };
    builder.outside.copy_tree(given, 'the volume begins with what the image has there');
    builder.outside.exit({ status: 0 });
    await runPlan(builder.build(), { given: { image: from.fd, volume: to.fd } }).exited;
  }
}

/** undefined where the image has none there: links lead nowhere out of it. */
function folderIn(root: number, path: string): OwnedFd | undefined {
  try {
    const found = native.openat2(
      root,
      path,
      O_PATH | O_DIRECTORY | O_CLOEXEC,
      0,
      RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    );
    return new OwnedFd(found);
  } catch (error) {
    if (error instanceof TareError && ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.syscall?.errno ?? ''))
      return undefined;
    throw error;
  }
}
