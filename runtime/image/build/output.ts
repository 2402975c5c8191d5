/** `--output`: what has been built, somewhere else than in the store: its files in a folder or an archive, or the image as an archive. */
import { mkdirSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { native } from '../../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { type Descriptor, type Digest, MEDIA } from '../../oci/image/index.js';
import { copyTree } from '../copy-tree.js';
import { imageOf } from '../image.js';
import { mountOverlay, openSnapshots } from '../snapshot/index.js';
import type { ImageStore } from '../store/index.js';

const TYPES = ['local', 'tar', 'oci', 'docker'] as const;

export interface Output {
  readonly type: (typeof TYPES)[number];
  /** Absolute; `-` is standard output, which is not for `local`. */
  readonly dest: string;
}

/** `type=tar,dest=out.tar`; a name alone is a folder, and `-` an archive on standard output. @throws TareError `usage` */
export function parseOutput(text: string): Output {
  if (text === '-') return { type: 'tar', dest: '-' };
  if (!text.includes('=')) return { type: 'local', dest: resolve(text) };
  const fields = new Map(
    text.split(',').map((part): [string, string] => {
      const at = part.indexOf('=');
      return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
    }),
  );
  const type = TYPES.find((one) => one === fields.get('type'));
  if (type === undefined) throw wrong(text, `its type is one of ${TYPES.join(', ')}`);
  const unknown = [...fields.keys()].find((key) => key !== 'type' && key !== 'dest');
  if (unknown !== undefined) throw wrong(text, `there is no ${JSON.stringify(unknown)}`);
  const dest = fields.get('dest') ?? (type === 'local' ? '' : '-');
  if (dest === '' || (dest === '-' && type === 'local')) throw wrong(text, 'it needs dest=FOLDER');
  return { type, dest: dest === '-' ? '-' : resolve(dest) };
}

/** Writes an image of the store. A file appears when it is whole, or not at all. @param digest of its manifest @throws TareError, and as `writeArchive` */
export async function writeOutput(
  store: ImageStore,
  { digest, size }: { digest: Digest; size: number },
  { type, dest }: Output,
  signal?: AbortSignal,
): Promise<void> {
  const target: Descriptor = { mediaType: MEDIA.ociManifest, digest, size };
  if (type === 'local') return withTree(store, target, signal, (root) => writeFolder(root, dest));
  // What only some outputs need is loaded for them.
  const { saveArchive, writeArchive } = await import('../archive/index.js');
  if (type !== 'tar') return writeArchive(dest, (sink) => saveArchive(store, [digest], type, sink, { signal }));
  const { layerOfTrees } = await import('../diff/index.js');
  return withTree(store, target, signal, (root) =>
    writeArchive(dest, async (sink) => {
      for await (const chunk of layerOfTrees(undefined, root, { signal })) await sink(chunk);
    }),
  );
}

async function withTree(
  store: ImageStore,
  target: Descriptor,
  signal: AbortSignal | undefined,
  use: (root: number) => Promise<void>,
): Promise<void> {
  using lease = store.lease();
  const image = imageOf(store, target);
  const snapshots = openSnapshots(store);
  const chainId = await snapshots.unpack(image, lease, { signal });
  using root = await mountOverlay({ lower: snapshots.lower(chainId) });
  await use(root.fd);
}

/** Into a new or empty folder. */
async function writeFolder(root: number, dest: string): Promise<void> {
  mkdirSync(dest, { recursive: true });
  if (readdirSync(dest).length > 0)
    throw new TareError('exists', `${dest} is not empty: the files are written to a new or empty folder`, {
      path: dest,
    });
  using folder = new OwnedFd(native.open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  await copyTree(root, folder.fd, 'the files that have been built');
}

function wrong(text: string, why: string): TareError {
  return new TareError('usage', `--output ${text}: ${why}; such as type=local,dest=out or type=tar,dest=out.tar`);
}
