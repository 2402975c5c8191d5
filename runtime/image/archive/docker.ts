/**
 * What `docker save`, `podman save` and `skopeo` write: manifest.json names for each image a config and its layers, as files of the archive. The
 * config keeps its bytes, and so the image its id; a manifest is made for it.
 * https://github.com/moby/docker-image-spec (v1.2, "Combined Image JSON + Filesystem Changeset Format")
 */
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  LAYER_TYPES,
  MAX_DOCUMENT,
  MAX_LAYERS,
  MEDIA,
  parseImageConfig,
} from '../../oci/image/index.js';
import { array, type Fault, object, optional, text } from '../../oci/schema.js';
import type { Lease } from '../types.js';
import type { ArchiveStore, Contents, StoredLayer } from './contents.js';

/** An image of an archive that is in the store now, and the names that the archive has for it. */
export interface FoundInArchive {
  readonly target: Descriptor;
  readonly names: readonly string[];
}

const MAX_IMAGES = 1000;

const entries = array(object({ Config: text, RepoTags: optional(array(text)), Layers: optional(array(text)) }));

/** @throws TareError `protocol` with the file at fault */
export async function readDockerArchive(
  manifest: Buffer,
  contents: Contents,
  { content }: ArchiveStore,
  lease: Lease,
): Promise<FoundInArchive[]> {
  const found: FoundInArchive[] = [];
  for (const { Config, RepoTags = [], Layers = [] } of parse(manifest)) {
    const data = contents.document(Config);
    if (!data || data.length > MAX_DOCUMENT) throw refused(`${JSON.stringify(Config)}, a config, is not in it`);
    const config = parseImageConfig(data, { what: JSON.stringify(Config) });
    if (Layers.length !== config.rootfs.diff_ids.length)
      throw refused(
        `manifest.json has ${Layers.length} layers, and ${JSON.stringify(Config)} has ${config.rootfs.diff_ids.length}`,
      );
    const document: ImageManifest = {
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      config: await content.put(data, MEDIA.ociConfig, lease),
      layers: Layers.map((name, i) => layerOf(name, i, config, contents)),
    };
    const target = await content.put(Buffer.from(JSON.stringify(document)), MEDIA.ociManifest, lease);
    found.push({ target, names: RepoTags });
  }
  return found;
}

/** The names of manifest.json by the digest of the config, for archives that are an OCI layout as well. */
export function namesByConfig(manifest: Buffer): ReadonlyMap<string, readonly string[]> {
  return new Map(parse(manifest).map(({ Config, RepoTags = [] }) => [Config.split('/').at(-1) as string, RepoTags]));
}

function layerOf(name: string, index: number, config: ImageConfig, contents: Contents): Descriptor {
  const layer: StoredLayer | undefined = contents.layer(name);
  if (!layer) throw refused(`${JSON.stringify(name)}, a layer, is not in it, or is no tar archive`);
  const { digest, size, compression } = layer;
  const diffId = config.rootfs.diff_ids[index];
  // What is packed is checked when it is unpacked.
  if (compression === 'none' && digest !== diffId)
    throw refused(`${JSON.stringify(name)} is ${digest}, and its config says ${diffId}`);
  return { mediaType: LAYER_TYPES[compression], digest, size };
}

function parse(manifest: Buffer) {
  let value: unknown;
  try {
    value = JSON.parse(manifest.toString());
  } catch (error) {
    throw refused(`manifest.json is no JSON: ${(error as Error).message}`);
  }
  const faults: Fault[] = [];
  const images = entries.read(value, 'manifest.json', faults);
  if (faults[0]) throw refused(`${faults[0].path} ${faults[0].message}`);
  if (images.length > MAX_IMAGES) throw refused(`manifest.json has more than ${MAX_IMAGES} images`);
  if (images.some(({ Layers }) => (Layers?.length ?? 0) > MAX_LAYERS))
    throw refused(`manifest.json has an image of more than ${MAX_LAYERS} layers`);
  return images;
}

function refused(why: string): TareError {
  return new TareError('protocol', `the archive is refused: ${why}`);
}
