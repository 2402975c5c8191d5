/** Documents of strangers: read when they are what the specification says, refused with the field at fault when not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TareError } from '../../../runtime/kernel/error.js';
import {
  digestOf,
  layerCompression,
  MAX_DOCUMENT,
  MEDIA,
  parseDescriptor,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from '../../../runtime/oci/image/index.js';

const descriptor = (mediaType: string, more: object = {}) => ({
  mediaType,
  digest: digestOf(mediaType),
  size: 3,
  ...more,
});
const manifest = {
  schemaVersion: 2,
  mediaType: MEDIA.ociManifest,
  config: descriptor(MEDIA.ociConfig),
  layers: [descriptor(MEDIA.ociLayerGzip), descriptor(MEDIA.ociLayerZstd)],
  annotations: { a: 'b' },
};
const index = {
  schemaVersion: 2,
  manifests: [descriptor(MEDIA.ociManifest, { platform: { os: 'linux', architecture: 'arm', variant: 'v7' } })],
};
const config = {
  architecture: 'amd64',
  os: 'linux',
  created: '2024-01-02T03:04:05Z',
  config: {
    Env: ['A=b'],
    Cmd: ['sh'],
    ExposedPorts: { '80/tcp': {} },
    Volumes: { '/data': {} },
    Labels: { l: 'x' },
    StopSignal: 'SIGINT',
  },
  rootfs: { type: 'layers', diff_ids: [digestOf('a')] },
  history: [{ created_by: 'x', empty_layer: true }],
};
const protocol = (message: RegExp) =>
  expect.objectContaining({ code: 'protocol', message: expect.stringMatching(message) });

describe('what is right', () => {
  it.each([
    ['a manifest', parseManifest, manifest],
    ['a manifest of Docker', parseManifest, { ...manifest, mediaType: MEDIA.dockerManifest }],
    ['a manifest that does not say what it is', parseManifest, { ...manifest, mediaType: undefined }],
    [
      'an artifact',
      parseManifest,
      { ...manifest, artifactType: 'a/b', layers: [], subject: descriptor(MEDIA.ociManifest) },
    ],
    ['an index', parseIndex, index],
    ['a config', parseImageConfig, config],
    ['a descriptor', parseDescriptor, descriptor('a/b', { urls: ['https://x'], data: 'e30=' })],
  ])('is read: %s', (_, parse: (source: unknown) => unknown, value) => {
    expect(parse(Buffer.from(JSON.stringify(value)))).toEqual(value);
    expect(parse(value)).toEqual(value);
  });

  it('has what Go writes for nothing', () => {
    expect(parseManifest({ ...manifest, layers: null }).layers).toEqual([]);
    expect(parseIndex({ ...index, manifests: null }).manifests).toEqual([]);
    const read = parseImageConfig({
      ...config,
      config: { Entrypoint: null, Volumes: null, Env: null },
      rootfs: { type: 'layers', diff_ids: null },
      history: null,
    });
    expect(read).toMatchObject({ config: {}, rootfs: { diff_ids: [] } });
  });

  it('has fields that nobody knows, which are left out', () => {
    expect(parseImageConfig({ ...config, container_config: {}, docker_version: '1' })).toEqual(config);
  });
});

describe('what is wrong', () => {
  it.each<[string, (source: unknown) => unknown, unknown, RegExp]>([
    [
      'both layers and manifests (CVE-2021-41190)',
      parseManifest,
      { ...manifest, manifests: [] },
      /both "layers" and "manifests"/,
    ],
    ['both manifests and layers', parseIndex, { ...index, layers: [] }, /both "manifests" and "layers"/],
    ['both manifests and config', parseIndex, { ...index, config: {} }, /both "manifests" and "config"/],
    [
      'an index that is called a manifest',
      parseIndex,
      { ...index, mediaType: MEDIA.ociManifest },
      /it says that it is .*manifest.*not an index/,
    ],
    [
      'a manifest that is called an index',
      parseManifest,
      { ...manifest, mediaType: MEDIA.ociIndex },
      /which is not a manifest/,
    ],
    ['no layers', parseManifest, { ...manifest, layers: undefined }, /layers is missing/],
    ['no manifests', parseIndex, { schemaVersion: 2 }, /manifests is missing/],
    ['no config', parseManifest, { ...manifest, config: undefined }, /config is missing/],
    [
      'a digest that is a path',
      parseManifest,
      { ...manifest, layers: [{ ...descriptor('a/b'), digest: '../../etc' }] },
      /layers\[0\].digest is no digest/,
    ],
    ['a negative size', parseDescriptor, descriptor('a/b', { size: -1 }), /size must be from 0/],
    ['a size that is not whole', parseDescriptor, descriptor('a/b', { size: 1.5 }), /size must be an integer/],
    ['a size that nobody can count', parseDescriptor, descriptor('a/b', { size: 2 ** 60 }), /size must be from 0/],
    ['a media type with a line end', parseDescriptor, descriptor('a/b\nc'), /mediaType is no media type/],
    ['another version', parseIndex, { ...index, schemaVersion: 3 }, /schemaVersion must be from 2 to 2/],
    [
      'too many layers',
      parseManifest,
      { ...manifest, layers: Array(501).fill(descriptor('a/b')) },
      /layers has 501 entries, and 500 is the most/,
    ],
    [
      'another kind of root',
      parseImageConfig,
      { ...config, rootfs: { type: 'x', diff_ids: [] } },
      /rootfs.type must be "layers"/,
    ],
    ['an Env that is no list', parseImageConfig, { ...config, config: { Env: 'A=b' } }, /config.Env must be a list/],
    [
      'a NUL byte',
      parseImageConfig,
      { ...config, config: { Env: ['A=\0'] } },
      /config.Env\[0\] must not contain a NUL byte/,
    ],
    ['no architecture', parseImageConfig, { ...config, architecture: undefined }, /architecture is missing/],
    ['a list', parseManifest, [], /no JSON object/],
    ['null', parseImageConfig, null, /no JSON object/],
    ['no JSON', parseManifest, Buffer.from('{"a":'), /it is no JSON/],
    ['no UTF-8', parseManifest, Buffer.from([0x7b, 0xff, 0x7d]), /it is no JSON/],
    ['too much', parseManifest, Buffer.alloc(MAX_DOCUMENT + 1, ' '), /larger than/],
  ])('is refused: %s', (_, parse, value, message) => {
    expect(() => parse(value)).toThrow(protocol(message));
  });

  it('is refused when it is not what it was announced as', () => {
    const docker = { ...manifest, mediaType: MEDIA.dockerManifest };
    expect(() => parseManifest(docker, { mediaType: MEDIA.ociManifest, what: 'debian:12' })).toThrow(
      protocol(/^debian:12 is refused: .*announced as/),
    );
    expect(parseManifest(docker, { mediaType: MEDIA.dockerManifest }).layers).toHaveLength(2);
    expect(() => parseManifest(manifest, { mediaType: 'text/html' })).toThrow(
      protocol(/"text\/html" is not a manifest/),
    );
  });

  it('names schema 1, and what to do', () => {
    expect(() => parseManifest({ schemaVersion: 1, fsLayers: [] })).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('schema 1') }),
    );
  });

  it('is never anything but a TareError, whatever it is', () => {
    const field = fc.constantFrom(
      'schemaVersion',
      'layers',
      'manifests',
      'config',
      'rootfs',
      'mediaType',
      'annotations',
      'subject',
      'history',
    );
    const document = fc.dictionary(
      field,
      fc.oneof(fc.jsonValue(), fc.constant(2), fc.constant([descriptor('a/b')]), fc.constant(null)),
    );
    fc.assert(
      fc.property(
        document,
        fc.constantFrom(parseIndex, parseManifest, parseImageConfig, parseDescriptor),
        (value, parse) => {
          try {
            parse(JSON.stringify(value));
          } catch (error) {
            expect(error).toBeInstanceOf(TareError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('how a layer is packed', () => {
  it.each([
    [MEDIA.ociLayer, 'none'],
    [MEDIA.ociLayerGzip, 'gzip'],
    [MEDIA.ociLayerZstd, 'zstd'],
    [MEDIA.dockerLayerGzip, 'gzip'],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip'],
  ])('%s is %s', (mediaType, compression) => {
    expect(layerCompression(descriptor(mediaType))).toBe(compression);
  });

  it('is said of a layer only', () => {
    expect(() => layerCompression(descriptor('text/plain'))).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('"text/plain"') }),
    );
  });
});
