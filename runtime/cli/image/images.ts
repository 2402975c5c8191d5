/** `tare images`: a line for each name, and for each image that has lost its name. */
import { Command } from 'commander';
import { type ListedImage, listImages, matchesReference } from '../../image/list.js';
import { formatPlatform } from '../../image/platform.js';
import { familiarName } from '../../image/reference.js';
import { TareError } from '../../kernel/error.js';
import { shortDigest } from '../../oci/image/index.js';
import { collect } from '../collect.js';
import { formatTable, json, print, printable } from '../print.js';
import { formatBytes } from '../progress.js';
import { type Fields, formatTemplate, isTemplate } from '../template.js';
import { formatAge } from './age.js';
import { withStore } from './with-store.js';

interface Options {
  readonly digests?: boolean;
  readonly quiet?: boolean;
  readonly trunc: boolean;
  readonly format: string;
  readonly filter?: readonly string[];
}

export function imagesCommand(): Command {
  return new Command('images')
    .argument('[name]', 'only those of this name; "*" stands for anything but a slash')
    .option('-a, --all', 'as always: also those that have lost their names')
    .option('--digests', 'the digest of what each name stands for')
    .option('-q, --quiet', 'only the ids')
    .option('--no-trunc', 'ids in full')
    .option('--format <how>', '"table", "json", or a template: {{.Repository}}:{{.Tag}}', 'table')
    .option(
      '-f, --filter <filter>',
      'dangling=true, dangling=false or reference=NAME; may be given several times',
      collect,
    )
    .addHelpText(
      'after',
      `
SIZE is what the image takes as it is stored: compressed, all its platforms that are here. "tare system df" has unpacked layers too.

Examples:
  tare images
  tare images --digests --no-trunc
  tare images 'docker.io/library/*'
  tare images -f dangling=true -q
  tare images --format json
  tare images --format '{{.Repository}}:{{.Tag}} {{.Size}}'`,
    )
    .action((name: string | undefined, options: Options) =>
      withStore(async (store) => {
        const isWanted = wanted(name, options.filter ?? []);
        await print(show(listImages(store).filter(isWanted), options));
      }),
    );
}

/** Of several of a kind one must hold; of several kinds each. @throws TareError `usage` */
function wanted(name: string | undefined, filters: readonly string[]): (image: ListedImage) => boolean {
  const patterns = name === undefined ? [] : [name];
  const kept: string[] = [];
  let dangling: boolean | undefined;
  for (const filter of filters) {
    const [key, value = ''] = filter.split(/=(.*)/s);
    if (key === 'reference' && value !== '') kept.push(value);
    else if (key === 'dangling' && ['true', 'false', '1', '0'].includes(value))
      dangling = value === 'true' || value === '1';
    else
      throw new TareError(
        'usage',
        `${JSON.stringify(filter)} is no filter: there are dangling=true, dangling=false and reference=NAME`,
      );
  }
  const matches = ({ reference }: ListedImage, all: readonly string[]) =>
    all.length === 0 || (reference !== undefined && all.some((pattern) => matchesReference(reference, pattern)));
  return (image) =>
    matches(image, patterns) &&
    matches(image, kept) &&
    (dangling === undefined || dangling === (image.reference === undefined));
}

function show(images: readonly ListedImage[], { digests, quiet, trunc, format }: Options): string {
  const idOf = ({ id, target }: ListedImage) => (trunc ? shortDigest(id ?? target.digest) : (id ?? target.digest));
  if (quiet) return [...new Set(images.map(idOf))].map((id) => `${id}\n`).join('');
  if (format === 'json') return json(images.map(asJson));
  if (isTemplate(format))
    return formatTemplate(
      format,
      images.map((image) => fieldsOf(image, idOf(image))),
    );
  if (format !== 'table')
    throw new TareError('usage', `${JSON.stringify(format)} is no format: there are "table", "json" and templates`);
  const header = ['REPOSITORY', 'TAG', ...(digests ? ['DIGEST'] : []), 'IMAGE ID', 'CREATED', 'SIZE'];
  const rows = images.map((image) => {
    const { repository, tag } = nameOf(image);
    const age = image.fault === undefined ? formatAge(image.created) : 'damaged: see "tare image verify"';
    const line = [
      repository,
      tag,
      ...(digests ? [image.target.digest] : []),
      idOf(image),
      age,
      formatBytes(image.size),
    ];
    return line.map(printable);
  });
  return formatTable([header, ...rows]);
}

/** By Docker's names. */
function fieldsOf(image: ListedImage, id: string): Fields {
  const { repository, tag } = nameOf(image);
  const { target, created = '', size } = image;
  return {
    ...{ ID: id, Repository: repository, Tag: tag, Digest: target.digest },
    ...{ CreatedSince: formatAge(created), CreatedAt: created, Size: formatBytes(size) },
  };
}

function nameOf({ reference }: ListedImage): { repository: string; tag: string } {
  if (!reference) return { repository: '<none>', tag: '<none>' };
  const { tag, digest: _digest, ...bare } = reference;
  return { repository: familiarName(bare), tag: tag ?? '<none>' };
}

function asJson({ reference, target, id, created, size, platforms, fault }: ListedImage) {
  return {
    name: reference ? familiarName(reference) : null,
    id: id ?? null,
    digest: target.digest,
    mediaType: target.mediaType,
    created: created ?? null,
    size,
    platforms: platforms.map(formatPlatform),
    ...(fault !== undefined && { fault }),
  };
}
