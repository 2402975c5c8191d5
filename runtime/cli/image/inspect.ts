/** `tare inspect IMAGE`, `tare image inspect`: all that is known of an image, for people or, with --json, for machines. */
import { Command } from 'commander';
import { loadImage, platformsOf } from '../../image/image.js';
import { blobsOf } from '../../image/list.js';
import { formatPlatform, parsePlatform } from '../../image/platform.js';
import { familiarName } from '../../image/reference.js';
import type { ImageStore } from '../../image/store/index.js';
import type { Image } from '../../image/types.js';
import type { ExecutionConfig } from '../../oci/image/index.js';
import { formatTable, json, print, printable } from '../print.js';
import { formatBytes } from '../progress.js';
import { type Fields, formatTemplate } from '../template.js';
import { formatAge } from './age.js';
import { withStore } from './with-store.js';

export interface InspectImageOptions {
  readonly json?: boolean;
  readonly format?: string;
  readonly platform?: string;
}

export function inspectImageCommand(): Command {
  return new Command('inspect')
    .argument('<image...>', 'names or ids')
    .option('--json', 'for machines: a list with all of each image’s manifest and config')
    .option('-f, --format <template>', 'fields by Docker’s names: {{.Config.Env}}, {{json .RootFS}}')
    .option('--platform <platform>', 'of several platforms this one, such as linux/arm64')
    .addHelpText(
      'after',
      `
Examples:
  tare image inspect debian:12
  tare image inspect -f '{{.Id}} {{json .Config.Cmd}}' debian:12
  tare image inspect --json --platform linux/arm64 debian:12`,
    )
    .action((images: string[], options: InspectImageOptions) => inspectImages(images, options));
}

export function inspectImages(
  images: readonly string[],
  { json: forMachines, format, platform }: InspectImageOptions,
): Promise<void> {
  const wanted = platform === undefined ? undefined : parsePlatform(platform);
  return withStore(async (store) => {
    const all = images.map((name) => loadImage(store, name, wanted));
    if (format !== undefined)
      return print(
        formatTemplate(
          format,
          all.map((image) => fieldsOf(store, image)),
        ),
      );
    if (forMachines) return print(json(all.map((image) => asJson(store, image))));
    return print(all.map((image) => asText(store, image)).join('\n'));
  });
}

function asJson(store: ImageStore, image: Image) {
  const { target, manifestDescriptor, id, manifest, config } = image;
  return {
    id,
    names: namesOf(store, image),
    target,
    manifestDescriptor,
    platforms: platforms(store, image),
    manifest,
    config,
  };
}

/** By the names of Docker's own answer, as far as Tare knows the same. */
function fieldsOf(store: ImageStore, image: Image): Fields {
  const { id, target, config, manifestDescriptor } = image;
  const names = namesOf(store, image);
  return {
    ...{ Id: id, RepoTags: names.filter((name) => !name.includes('@')), Digest: target.digest },
    ...{ Created: config.created ?? '', Author: config.author ?? '', Os: config.os, Architecture: config.architecture },
    Variant: config.variant ?? '',
    Config: config.config ?? {},
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
    Size: [...blobsOf(store, manifestDescriptor).values()].reduce((sum, one) => sum + one, 0),
  };
}

function asText(store: ImageStore, image: Image): string {
  const { target, manifestDescriptor, id, manifest, config } = image;
  const size = [...blobsOf(store, manifestDescriptor).values()].reduce((sum, one) => sum + one, 0);
  const rows: [string, string][] = [
    ['id', id],
    ['names', namesOf(store, image).join(', ') || 'none'],
    ['platform', formatPlatform(config)],
    ...(platforms(store, image).length > 1 ? [['of', platforms(store, image).join(', ')] as [string, string]] : []),
    ['digest', target.digest],
    ...(target.digest === manifestDescriptor.digest
      ? []
      : [['manifest', manifestDescriptor.digest] as [string, string]]),
    ['created', config.created === undefined ? 'not said' : `${config.created} (${formatAge(config.created)})`],
    ...(config.author ? [['author', config.author] as [string, string]] : []),
    ['size', `${formatBytes(size)}, as it is stored`],
    ...execution(config.config ?? {}),
  ];
  const layers = manifest.layers.map(({ digest, size: bytes, mediaType }, i) => [
    `  ${i + 1}`,
    formatBytes(bytes).padStart(8),
    digest,
    mediaType.replace(/^application\/vnd\.(oci|docker)\.(image\.)?/, ''),
  ]);
  const shown = rows.map(([name, value]) => [name, printable(value)]);
  return `${formatTable(shown)}layers\n${formatTable(layers.map((line) => line.map((cell) => printable(cell))))}`;
}

/** What a container of it starts with. */
function execution(config: ExecutionConfig): [string, string][] {
  const list = (value: readonly string[] | null | undefined) => (value?.length ? JSON.stringify(value) : undefined);
  const keys = (value: object | null | undefined) =>
    value && Object.keys(value).length > 0 ? Object.keys(value).join(', ') : undefined;
  const rows: [string, string | undefined][] = [
    ['entrypoint', list(config.Entrypoint)],
    ['cmd', list(config.Cmd)],
    ['user', config.User || undefined],
    ['workdir', config.WorkingDir || undefined],
    ...(config.Env ?? []).map((variable): [string, string] => ['env', variable]),
    ['ports', keys(config.ExposedPorts)],
    ['volumes', keys(config.Volumes)],
    ['stop signal', config.StopSignal || undefined],
    ['healthcheck', list(config.Healthcheck?.Test)],
    ...Object.entries(config.Labels ?? {}).map(([name, value]): [string, string] => ['label', `${name}=${value}`]),
  ];
  return rows.filter((row): row is [string, string] => row[1] !== undefined);
}

function namesOf(store: ImageStore, { target }: Image): string[] {
  const entries = store.names.list().filter((entry) => entry.target.digest === target.digest);
  return entries.flatMap(({ reference }) => (reference ? familiarName(reference) : []));
}

function platforms(store: ImageStore, { target }: Image): string[] {
  return platformsOf(store, target).flatMap(({ platform, isHere }) =>
    platform && platform.os !== 'unknown' ? `${formatPlatform(platform)}${isHere ? '' : ' (not here)'}` : [],
  );
}
