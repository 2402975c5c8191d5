/** `tare history`: how an image came about, the latest step first: what made each layer, and how large it is as it is stored. */
import { Command } from 'commander';
import { loadImage } from '../../image/image.js';
import { parsePlatform } from '../../image/platform.js';
import type { Image } from '../../image/types.js';
import { TareError } from '../../kernel/error.js';
import type { Digest, HistoryEntry } from '../../oci/image/index.js';
import { formatTable, json, print, printable } from '../print.js';
import { formatBytes } from '../progress.js';
import { formatTemplate, isTemplate } from '../template.js';
import { formatAge } from './age.js';
import { withStore } from './with-store.js';

interface Options {
  readonly trunc: boolean;
  readonly human: boolean;
  readonly quiet?: boolean;
  readonly format: string;
  readonly platform?: string;
}

export function historyCommand(): Command {
  return new Command('history')
    .argument('<image>', 'a name or an id')
    .option('--no-trunc', 'everything in full')
    .option('--no-human', 'times and sizes for machines')
    .option('-q, --quiet', 'only the digests of the layers')
    .option('--format <how>', '"table", "json", or a template: {{.CreatedBy}}', 'table')
    .option('--platform <platform>', 'of an image for several')
    .addHelpText(
      'after',
      `
SIZE is what the layer takes as it is stored; steps that changed no file have none.

Examples:
  tare history debian:12
  tare history --no-trunc --format json localhost/mine`,
    )
    .action((name: string, options: Options) =>
      withStore(async (store) => {
        const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
        await print(show(historyOf(loadImage(store, name, platform)), options));
      }),
    );
}

interface Step extends HistoryEntry {
  /** undefined of a step that changed no file. */
  readonly layer?: Digest;
  readonly size: number;
}

/** Layers belong to the steps that are not empty, in order. What the history does not tell of is at the end, and what it tells too much of has none. */
function historyOf({ manifest, config }: Image): Step[] {
  const layers = [...manifest.layers];
  const steps = (config.history ?? []).map((entry): Step => {
    const layer = entry.empty_layer ? undefined : layers.shift();
    return { ...entry, size: layer?.size ?? 0, ...(layer && { layer: layer.digest }) };
  });
  const untold = layers.map(({ digest, size }): Step => ({ layer: digest, size }));
  return [...steps, ...untold].reverse();
}

const MAX_TEXT = 60;

function show(steps: readonly Step[], { trunc, human, quiet, format }: Options): string {
  if (quiet) return steps.flatMap(({ layer }) => (layer ? [`${shortened(layer, trunc)}\n`] : [])).join('');
  if (format === 'json') return json(steps.map(asJson));
  if (format !== 'table' && !isTemplate(format))
    throw new TareError('usage', `${JSON.stringify(format)} is no format: there are "table", "json" and templates`);
  const rows = steps.map(({ layer, created, created_by = '', size, comment = '' }) => [
    layer ? shortened(layer, trunc) : '-',
    human ? formatAge(created) : (created ?? 'unknown'),
    cut(created_by, trunc),
    human ? formatBytes(size) : String(size),
    cut(comment, trunc),
  ]);
  if (isTemplate(format))
    return formatTemplate(
      format,
      rows.map(([ID, CreatedSince, CreatedBy, Size, Comment]) => ({ ID, CreatedSince, CreatedBy, Size, Comment })),
    );
  const header = ['LAYER', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'];
  return formatTable([header, ...rows.map((row) => row.map(printable))]);
}

function shortened(digest: Digest, trunc: boolean): string {
  return trunc ? digest.slice(digest.indexOf(':') + 1).slice(0, 12) : digest;
}

function cut(text: string, trunc: boolean): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return trunc && line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT - 1)}…` : line;
}

function asJson({ layer, created, created_by, author, comment, size, empty_layer }: Step) {
  return {
    layer: layer ?? null,
    created: created ?? null,
    createdBy: created_by ?? '',
    ...(author !== undefined && { author }),
    comment: comment ?? '',
    size,
    emptyLayer: empty_layer ?? false,
  };
}
