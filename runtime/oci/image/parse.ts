/**
 * The documents of an image, read from bytes of a stranger: bounded, and either what the specification says or refused. What is given back is
 * a clean copy of the fields that are known.
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/ (descriptor.md, image-index.md, manifest.md, config.md)
 */
import { TareError } from '../../kernel/error.js';
import {
  anything,
  array,
  type Fault,
  flag,
  integer,
  mapped,
  object,
  optional,
  record,
  type Schema,
  text,
} from '../schema.js';
import { isDigest } from './digest.js';
import { isIndexType, isManifestType } from './media.js';
import type { Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest } from './types.js';

/** The largest manifest, index or config that is read, in bytes; registries have the same bound. */
export const MAX_DOCUMENT = 4 << 20;
/** As many lower folders as overlayfs takes (OVL_MAX_STACK). */
export const MAX_LAYERS = 500;
const MAX_MANIFESTS = 100_000;
const MAX_MEDIA_TYPE = 255;

export interface ParseOptions {
  /** What the descriptor, or the Content-Type, said that this is: the document must not say something else. */
  readonly mediaType?: string;
  /** What it is called in an error: a digest, a name, a file. */
  readonly what?: string;
}

/** @throws TareError `protocol`, with the field at fault */
export function parseIndex(source: unknown, options: ParseOptions = {}): ImageIndex {
  const name = options.what ?? 'the index';
  const value = documentOf(source, name);
  versionTwo(value, name);
  sameType(value, options.mediaType, isIndexType, 'an index', name);
  // CVE-2021-41190: a document that is an index to one reader and a manifest to the next has two contents under one digest.
  for (const field of ['layers', 'config', 'fsLayers'])
    if (has(value, field))
      throw wrong(name, `it has both "manifests" and ${JSON.stringify(field)}, so it could be read in two ways`, field);
  if (value.manifests === undefined) throw wrong(name, 'manifests is missing', 'manifests');
  return check(index, value, name) as ImageIndex;
}

/** @throws TareError `protocol`, with the field at fault; `unsupported` for Docker's schema 1 */
export function parseManifest(source: unknown, options: ParseOptions = {}): ImageManifest {
  const name = options.what ?? 'the manifest';
  const value = documentOf(source, name);
  versionTwo(value, name);
  sameType(value, options.mediaType, isManifestType, 'a manifest', name);
  for (const field of ['manifests', 'fsLayers'])
    if (has(value, field))
      throw wrong(name, `it has both "layers" and ${JSON.stringify(field)}, so it could be read in two ways`, field);
  if (value.layers === undefined) throw wrong(name, 'layers is missing', 'layers');
  return check(manifest, value, name) as ImageManifest;
}

/** @throws TareError `protocol`, with the field at fault */
export function parseImageConfig(source: unknown, options: Pick<ParseOptions, 'what'> = {}): ImageConfig {
  const name = options.what ?? 'the config';
  return check(config, documentOf(source, name), name) as ImageConfig;
}

/** @throws TareError `protocol`, with the field at fault */
export function parseDescriptor(source: unknown, options: Pick<ParseOptions, 'what'> = {}): Descriptor {
  const name = options.what ?? 'the descriptor';
  return check(descriptor, documentOf(source, name), name);
}

// ---- What the documents are -------------------------------------------------------------------------------------

const digest: Schema<Digest> = {
  read(value, path, faults) {
    if (isDigest(value)) return value;
    faults.push({ path, message: 'is no digest: sha256 or sha512, a colon, and lower-case hexadecimal digits' });
    return value as Digest;
  },
};

/** RFC 6838, section 4.2. */
const mediaType: Schema<string> = {
  read(value, path, faults) {
    const type = text.read(value, path, faults);
    if (type.length > MAX_MEDIA_TYPE || !/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(type))
      faults.push({ path, message: 'is no media type' });
    return type;
  },
};

const texts = array(text);
const annotations = record(text);
const size = integer(0, Number.MAX_SAFE_INTEGER);

const platformFields = {
  architecture: text,
  os: text,
  'os.version': optional(text),
  'os.features': optional(texts),
  variant: optional(text),
};

const descriptor = object({
  mediaType,
  digest,
  size,
  urls: optional(texts),
  annotations: optional(annotations),
  data: optional(text),
  artifactType: optional(text),
  platform: optional(object(platformFields)),
});

const documentFields = {
  schemaVersion: integer(2, 2),
  mediaType: optional(text),
  artifactType: optional(text),
  subject: optional(descriptor),
  annotations: optional(annotations),
};

const index = object({ ...documentFields, manifests: nullAsEmpty(atMost(MAX_MANIFESTS, array(descriptor))) });

const manifest = object({
  ...documentFields,
  config: descriptor,
  layers: nullAsEmpty(atMost(MAX_LAYERS, array(descriptor))),
});

/** The values say nothing, and some programs write null. */
const set = mapped(record(anything), (names) =>
  Object.fromEntries(Object.keys(names).map((name): [string, object] => [name, {}])),
);

const nanoseconds = integer(-(2 ** 63), 2 ** 63);

const healthcheck = object({
  Test: optional(texts),
  Interval: optional(nanoseconds),
  Timeout: optional(nanoseconds),
  StartPeriod: optional(nanoseconds),
  StartInterval: optional(nanoseconds),
  Retries: optional(integer(0, 2 ** 31 - 1)),
});

const execution = object({
  User: optional(text),
  ExposedPorts: optional(set),
  Env: optional(texts),
  Entrypoint: optional(texts),
  Cmd: optional(texts),
  Volumes: optional(set),
  WorkingDir: optional(text),
  Labels: optional(record(text)),
  StopSignal: optional(text),
  ArgsEscaped: optional(flag),
  Healthcheck: optional(healthcheck),
  Shell: optional(texts),
  OnBuild: optional(texts),
});

const historyEntry = object({
  created: optional(text),
  author: optional(text),
  created_by: optional(text),
  comment: optional(text),
  empty_layer: optional(flag),
});

const layersOnly: Schema<'layers'> = {
  read(value, path, faults) {
    if (value !== 'layers') faults.push({ path, message: 'must be "layers"' });
    return 'layers';
  },
};

const config = object({
  ...platformFields,
  created: optional(text),
  author: optional(text),
  config: optional(execution),
  rootfs: object({ type: layersOnly, diff_ids: nullAsEmpty(atMost(MAX_LAYERS, array(digest))) }),
  history: optional(array(historyEntry)),
});

// ---- How they are read ------------------------------------------------------------------------------------------

/** Bytes and text are JSON; anything else has been parsed already. */
function documentOf(source: unknown, name: string): Record<string, unknown> {
  const value = source instanceof Uint8Array || typeof source === 'string' ? parseJson(source, name) : source;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw wrong(name, 'it is no JSON object');
}

function parseJson(source: Uint8Array | string, name: string): unknown {
  if (source.length > MAX_DOCUMENT) throw wrong(name, `it is larger than ${MAX_DOCUMENT} bytes`);
  try {
    return JSON.parse(typeof source === 'string' ? source : new TextDecoder('utf-8', { fatal: true }).decode(source));
  } catch (error) {
    throw new TareError('protocol', `${name} is refused: it is no JSON`, { cause: error });
  }
}

function versionTwo(value: Record<string, unknown>, name: string): void {
  if (value.schemaVersion !== 1) return;
  throw new TareError(
    'unsupported',
    `${name} has Docker’s schema 1, which has not been written since 2017: pull and push it again with a current program`,
  );
}

/** What the document calls itself is what it was said to be, and of the right kind. */
function sameType(
  value: Record<string, unknown>,
  expected: string | undefined,
  isRight: (type: string) => boolean,
  kind: string,
  name: string,
): void {
  if (expected !== undefined && !isRight(expected))
    throw wrong(name, `${JSON.stringify(expected)} is not ${kind}`, 'mediaType');
  const own = value.mediaType ?? undefined;
  if (own === undefined) return;
  if (typeof own !== 'string' || !isRight(own))
    throw wrong(name, `it says that it is ${JSON.stringify(own)}, which is not ${kind}`, 'mediaType');
  if (expected !== undefined && own !== expected)
    throw wrong(
      name,
      `it says that it is ${JSON.stringify(own)}, and was announced as ${JSON.stringify(expected)}`,
      'mediaType',
    );
}

function has(value: Record<string, unknown>, field: string): boolean {
  return value[field] !== undefined && value[field] !== null;
}

function check<T>(schema: Schema<T>, value: unknown, name: string): T {
  const faults: Fault[] = [];
  const clean = schema.read(value, '', faults);
  const [first] = faults;
  if (!first) return clean;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  throw wrong(name, `${first.path} ${first.message}${more}`, first.path);
}

function atMost<T>(most: number, schema: Schema<readonly T[]>): Schema<readonly T[]> {
  return {
    read(value, path, faults) {
      if (Array.isArray(value) && value.length > most) {
        faults.push({ path, message: `has ${value.length} entries, and ${most} is the most` });
        return [];
      }
      return schema.read(value, path, faults);
    },
  };
}

/** Go writes an empty list as null. That it is there at all is checked before. */
function nullAsEmpty<T>(schema: Schema<readonly T[]>): Schema<readonly T[]> & { readonly missing: readonly T[] } {
  return { missing: [], read: (value, path, faults) => (value === null ? [] : schema.read(value, path, faults)) };
}

function wrong(name: string, why: string, path?: string): TareError {
  return new TareError('protocol', `${name} is refused: ${why}`, path === undefined ? {} : { path });
}
