/**
 * The archive that `docker load` of every version takes, and Podman, and skopeo as docker-archive: for each image its config, and each layer as a
 * plain tar archive, once. A header tells the size before the content comes, so a packed layer is unpacked twice: to be counted and
 * checked, and to be written. No temporary file is needed.
 */
import { TareError } from '../../kernel/error.js';
import { type Descriptor, hashFor, layerCompression, splitDigest } from '../../oci/image/index.js';
import { decompressed, type TarSink, TarWriter } from '../layer/index.js';
import { familiarName, type Reference } from '../reference.js';
import type { ContentStore, Image, OnProgress } from '../types.js';
import { plainFile, plainFolder } from './entries.js';

/** An image of one platform, and what it is to be called. */
export interface DockerImage {
  readonly image: Omit<Image, 'reference'>;
  readonly references: readonly Reference[];
}

interface Options {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** @throws TareError `protocol` when a layer is not what its config says, `not-found`, `unsupported` */
export async function saveDocker(
  content: ContentStore,
  images: readonly DockerImage[],
  sink: TarSink,
  options: Options = {},
): Promise<void> {
  const archive = new TarWriter(sink);
  const written = new Set<string>();
  const once = async (name: string, write: () => Promise<void>) => {
    if (!written.has(name)) await write();
    written.add(name);
  };
  const manifest: unknown[] = [];
  for (const { image, references } of images) {
    const { manifest: document, config, id } = image;
    const layers: string[] = [];
    for (const [i, layer] of document.layers.entries()) {
      const diffId = config.rootfs.diff_ids[i] as Descriptor['digest'];
      const folder = splitDigest(diffId).hex;
      layers.push(`${folder}/layer.tar`);
      await once(folder, async () => {
        await archive.add(plainFolder(folder));
        await writeLayer(content, layer, diffId, `${folder}/layer.tar`, archive, options);
      });
    }
    const configName = `${splitDigest(id).hex}.json`;
    const data = content.read(id);
    await once(configName, () => archive.add(plainFile(configName, data.length), data));
    const RepoTags = references.map(familiarName);
    manifest.push({ Config: configName, RepoTags: RepoTags.length > 0 ? RepoTags : null, Layers: layers });
  }
  const text = Buffer.from(JSON.stringify(manifest));
  await archive.add(plainFile('manifest.json', text.length), text);
  await archive.finish();
}

async function writeLayer(
  content: ContentStore,
  layer: Descriptor,
  diffId: Descriptor['digest'],
  name: string,
  archive: TarWriter,
  { onProgress, signal }: Options,
): Promise<void> {
  const id = splitDigest(layer.digest).hex.slice(0, 12);
  const compression = layerCompression(layer);
  const open = () => decompressed(content.stream(layer.digest), compression);
  onProgress?.({ id, action: 'verifying' });
  const total = await check(open(), layer, diffId, signal);
  const told = async function* () {
    let current = 0;
    for await (const chunk of open()) {
      signal?.throwIfAborted();
      yield chunk;
      current += chunk.length;
      onProgress?.({ id, action: 'unpacking', current, total });
    }
  };
  await archive.add(plainFile(name, total), told());
  onProgress?.({ id, action: 'done', current: total, total });
}

/** Counts, and refuses to write an image that nobody could load. */
async function check(
  tar: AsyncIterable<Uint8Array>,
  { digest }: Descriptor,
  diffId: Descriptor['digest'],
  signal: AbortSignal | undefined,
): Promise<number> {
  const hash = hashFor(diffId);
  let size = 0;
  for await (const chunk of tar) {
    signal?.throwIfAborted();
    hash.update(chunk);
    size += chunk.length;
  }
  const { algorithm, hex } = splitDigest(diffId);
  const found = hash.digest('hex');
  if (found === hex) return size;
  throw new TareError(
    'protocol',
    `the layer ${digest} is not what its config says: it holds ${algorithm}:${found}, not ${diffId}`,
  );
}
