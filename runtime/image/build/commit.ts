/**
 * From what a step has changed to a layer: the upper folder is written as an archive and packed into the store while both digests are taken, and then becomes the
 * layer's snapshot. A step that has changed nothing makes no layer.
 */
import { once } from 'node:events';
import { type Digest, hashFor, MEDIA } from '../../oci/image/index.js';
import { layerOfUpper } from '../diff/index.js';
import { BLOCK, compress } from '../layer/index.js';
import type { OverlayFolders } from '../types.js';
import type { BuiltLayer } from './cache.js';
import { clampTimes } from './clamp.js';
import type { Session } from './session.js';

/** Nobody is at work in the folders any more. @param below the chain id of the layers under it */
export async function commitLayer(
  session: Session,
  folders: OverlayFolders,
  below: Digest | undefined,
): Promise<BuiltLayer | undefined> {
  const { store, lease, snapshots, epoch, signal } = session;
  const upper = folders.upper as string;
  if (epoch !== undefined) clampTimes(upper, epoch);
  await using blob = await store.content.create(lease);
  const packer = compress('gzip');
  const stored = (async () => {
    for await (const chunk of packer as AsyncIterable<Uint8Array>) await blob.write(chunk);
  })();
  // Its failure is heard where it is awaited.
  stored.catch(() => undefined);
  const hash = hashFor();
  let length = 0;
  try {
    for await (const bytes of layerOfUpper(folders, { epoch, signal })) {
      hash.update(bytes);
      length += bytes.length;
      // Waiting for room ends also when the other side fails.
      if (!packer.write(bytes)) await Promise.race([once(packer, 'drain'), stored]);
    }
    packer.end();
  } catch (error) {
    packer.destroy();
    throw error;
  }
  await stored;
  if (length <= EMPTY) return undefined;
  const { digest, size } = await blob.commit();
  const diffId = `sha256:${hash.digest('hex')}` as Digest;
  await snapshots.adopt(upper, below, diffId, lease);
  return { descriptor: { mediaType: MEDIA.ociLayerGzip, digest, size }, diffId };
}

/** Bytes of an archive without entries: two blocks of zeros. */
const EMPTY = 2 * BLOCK;
