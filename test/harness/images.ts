/**
 * Small images made by hand: layers from entries in memory, with a config and a manifest around them. They can be put into a store, written
 * as an OCI layout or archive, or as the archive that `docker save` writes. image-layout.md, manifest.md; moby's image specification 1.2
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseReference } from '../../runtime/image/reference.js';
import type { ContentStore, ImageNames, Lease } from '../../runtime/image/types.js';
import {
  type Compression,
  type Descriptor,
  type Digest,
  digestOf,
  type ExecutionConfig,
  type ImageConfig,
  type ImageManifest,
  MEDIA,
  type Platform,
  splitDigest,
} from '../../runtime/oci/image/index.js';
import { type TarEntry, tarOf } from './tar.js';

export interface TestLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** As it is stored. */
  readonly blob: Buffer;
  readonly tar: Buffer;
}

export interface TestImage {
  readonly manifestDescriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  readonly id: Digest;
  readonly layers: readonly TestLayer[];
  /** Everything that it is made of, the manifest too. */
  readonly blobs: ReadonlyMap<Digest, Buffer>;
}

export interface TestImageOptions {
  /** What a container of it starts with. */
  readonly config?: ExecutionConfig;
  readonly platform?: Platform;
  /** Docker's media types instead of the OCI's. */
  readonly docker?: boolean;
  /** Further fields of the config, such as `history` and `created`. */
  readonly more?: Partial<ImageConfig>;
  readonly annotations?: Readonly<Record<string, string>>;
}

const LAYER_TYPES = {
  oci: { none: MEDIA.ociLayer, gzip: MEDIA.ociLayerGzip, zstd: MEDIA.ociLayerZstd },
  docker: { none: MEDIA.dockerLayer, gzip: MEDIA.dockerLayerGzip, zstd: MEDIA.dockerLayerZstd },
};

/** @param content entries, or a whole tar archive */
export function makeLayer(
  content: readonly TarEntry[] | Buffer,
  compression: Compression = 'gzip',
  docker = false,
): TestLayer {
  const tar = Buffer.isBuffer(content) ? content : tarOf(content);
  const blob = packed(tar, compression);
  const mediaType = LAYER_TYPES[docker ? 'docker' : 'oci'][compression];
  return { descriptor: { mediaType, digest: digestOf(blob), size: blob.length }, diffId: digestOf(tar), blob, tar };
}

export function makeImage(layers: readonly TestLayer[], options: TestImageOptions = {}): TestImage {
  const { docker = false, platform = { architecture: 'amd64', os: 'linux' } } = options;
  const config: ImageConfig = {
    ...platform,
    created: '2024-01-02T03:04:05Z',
    ...(options.config && { config: options.config }),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_, i) => ({ created: '2024-01-02T03:04:05Z', created_by: `test: layer ${i + 1}` })),
    ...options.more,
  };
  const blobs = new Map<Digest, Buffer>(layers.map(({ descriptor, blob }) => [descriptor.digest, blob]));
  const add = (value: unknown, mediaType: string): Descriptor => {
    const data = Buffer.from(JSON.stringify(value));
    blobs.set(digestOf(data), data);
    return { mediaType, digest: digestOf(data), size: data.length };
  };
  const configDescriptor = add(config, docker ? MEDIA.dockerConfig : MEDIA.ociConfig);
  const mediaType = docker ? MEDIA.dockerManifest : MEDIA.ociManifest;
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType,
    config: configDescriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    ...(options.annotations && { annotations: options.annotations }),
  };
  const manifestDescriptor = add(manifest, mediaType);
  return { manifestDescriptor, manifest, config, id: configDescriptor.digest, layers, blobs };
}

/** The names of busybox that tests use. */
const BUSYBOX_NAMES = (
  'sh ash cat echo ls id env pwd true false sleep kill ps mount umount hostname grep sed head tail tr wc cut ip readlink stat ' +
  'test touch mkdir rm ln mv cp stty tty mknod chmod chown nc dd yes sort find which seq xargs uname printf date tar gzip cmp od'
).split(' ');

/** A root file system of Debian's busybox-static: a shell, and a user besides root. */
function busyboxLayer(compression: Compression = 'gzip'): TestLayer {
  return makeLayer(
    [
      ...['bin/', 'dev/', 'etc/', 'proc/', 'root/', 'sys/', 'usr/', 'usr/bin/', 'var/'].map((path) => ({ path })),
      { path: 'tmp/', mode: 0o1777 },
      { path: 'bin/busybox', mode: 0o755, content: readFileSync('/bin/busybox') },
      ...BUSYBOX_NAMES.map((name) => ({ path: `bin/${name}`, type: 'symlink', mode: 0o777, target: 'busybox' })),
      { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:a user:/home/user:/bin/sh\n' },
      { path: 'etc/group', content: 'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n' },
      { path: 'home/' },
      { path: 'home/user/', uid: 1000, gid: 1000 },
    ],
    compression,
  );
}

export function busyboxImage(options: TestImageOptions = {}, above: readonly TestLayer[] = []): TestImage {
  const config = { Env: ['PATH=/usr/local/bin:/usr/bin:/bin'], Cmd: ['sh'], ...options.config };
  return makeImage([busyboxLayer(), ...above], { ...options, config });
}

/** What these functions need of an `ImageStore`. */
export interface StoreLike {
  readonly content: ContentStore;
  readonly names: ImageNames;
  lease(): Lease;
}

/** Puts it into a store, under a name where there is one. */
export async function putImage(store: StoreLike, image: TestImage, name?: string): Promise<Descriptor> {
  using lease = store.lease();
  for (const [digest, data] of image.blobs) {
    await using ingest = await store.content.ingest({ digest, size: data.length }, lease);
    await ingest?.write(data);
    await ingest?.commit();
  }
  if (name !== undefined) await store.names.set(parseReference(name), image.manifestDescriptor);
  return image.manifestDescriptor;
}

/** An image, and what it is called in a layout (`org.opencontainers.image.ref.name`) or archive. */
export interface Named {
  readonly name?: string;
  readonly image: TestImage;
}

/** Writes an OCI image layout into a folder, which need not exist. */
export function writeLayout(folder: string, images: readonly Named[]): void {
  for (const [path, data] of layoutFiles(images)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), data);
  }
}

/** The layout as a tar archive. */
export function ociArchive(images: readonly Named[]): Buffer {
  return tarOf([...layoutFiles(images)].map(([path, content]) => ({ path, content })));
}

/** What `docker save` wrote before version 25: manifest.json, and a folder for each layer. */
export function dockerArchive(images: readonly Named[]): Buffer {
  const entries: TarEntry[] = [];
  const manifest = images.map(({ name, image }) => {
    const config = `${splitDigest(image.id).hex}.json`;
    const layers = image.layers.map(({ diffId }) => `${splitDigest(diffId).hex}/layer.tar`);
    entries.push({ path: config, content: image.blobs.get(image.id) as Buffer });
    for (const [i, path] of layers.entries())
      if (!entries.some((entry) => entry.path === path))
        entries.push({ path: path.replace(/layer\.tar$/, '') }, { path, content: image.layers[i]?.tar as Buffer });
    return { Config: config, RepoTags: name === undefined ? null : [name], Layers: layers };
  });
  return tarOf([...entries, { path: 'manifest.json', content: JSON.stringify(manifest) }]);
}

function layoutFiles(images: readonly Named[]): Map<string, Buffer | string> {
  const files = new Map<string, Buffer | string>();
  for (const { image } of images)
    for (const [digest, data] of image.blobs) files.set(`blobs/sha256/${splitDigest(digest).hex}`, data);
  const manifests = images.map(({ name, image }) => ({
    ...image.manifestDescriptor,
    ...(name !== undefined && { annotations: { 'org.opencontainers.image.ref.name': name } }),
  }));
  files.set('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
  files.set('index.json', JSON.stringify({ schemaVersion: 2, manifests }));
  return files;
}

function packed(tar: Buffer, compression: Compression): Buffer {
  if (compression === 'none') return tar;
  if (compression === 'gzip') return gzipSync(tar, { level: 1 });
  return execFileSync('zstd', ['-q', '-c'], { input: tar, maxBuffer: 1 << 30 });
}
