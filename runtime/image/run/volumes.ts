/**
 * The volumes that an image asks for: folders of the container's own, outside of its overlay, that begin with what the image has there. They go with the
 * container. config.md, "Volumes".
 */
import { mkdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { native } from '../../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { openInRoot } from '../../kernel/in-root.js';
import type { ImageConfig } from '../../oci/image/index.js';
import type { Mount } from '../../oci/index.js';
import { copyTree } from '../copy-tree.js';

export interface Volume {
  /** In the container. */
  readonly destination: string;
  /** On the host. */
  readonly path: string;
}

/** What the kernel says is not for an image to say: files of its own there would be taken for the kernel's (CVE-2019-16884). */
const KERNELS = /^\/(?:proc|sys|dev)(?:\/|$)/;

/** More than any image has. */
const MOST = 1000;

/** @param taken where something else is mounted, which an image's volume gives way to */
export function volumesOf({ config }: ImageConfig, folder: string, taken: readonly Mount[]): Volume[] {
  const given = new Set(taken.map(({ destination }) => posix.resolve('/', destination)));
  const wanted = [...new Set(Object.keys(config?.Volumes ?? {}).map((path) => posix.resolve('/', path)))].sort();
  if (wanted.length > MOST) throw new TareError('unsupported', `the image asks for ${wanted.length} volumes`);
  return wanted
    .filter((path) => path !== '/' && !given.has(path) && !KERNELS.test(path))
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
    using from = openInRoot(root, volume.destination, O_DIRECTORY);
    if (!from) continue;
    using to = new OwnedFd(native.open(volume.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    await copyTree(from.fd, to.fd, 'the volume begins with what the image has there');
  }
}
