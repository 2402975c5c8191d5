/** `tare image layers IMAGE`: what each layer added, changed and removed, which command made it, and how many of its bytes later layers hide. */
import { Command } from 'commander';
import { type Change, type ImageChanges, imageChanges, type LayerReport } from '../../image/changes/index.js';
import { loadImage } from '../../image/image.js';
import { showName } from '../../image/layer/index.js';
import { parsePlatform } from '../../image/platform.js';
import type { Image } from '../../image/types.js';
import { shortDigest } from '../../oci/image/index.js';
import { formatTable, json, print, printable } from '../print.js';
import { formatBytes } from '../progress.js';
import { withStoreAsOwnRoot } from './with-store.js';

interface LayersOptions {
  readonly tree?: boolean;
  readonly json?: boolean;
  readonly platform?: string;
}

export function layersCommand(): Command {
  return new Command('layers')
    .argument('<image>', 'name or id')
    .option('--tree', 'also each path: + added, ~ changed, - removed')
    .option('--json', 'for machines')
    .option('--platform <platform>', 'of several platforms this one, such as linux/arm64')
    .addHelpText(
      'after',
      `
Wasted are bytes of files that a later layer changes or removes: they are stored and sent, and no container sees them.

Examples:
  tare image layers debian:12
  tare image layers --tree myapp | less
  tare image layers --json myapp | jq '.layers[].wasted'`,
    )
    .action((name: string, options: LayersOptions) =>
      withStoreAsOwnRoot(async (store) => {
        const image = loadImage(
          store,
          name,
          options.platform === undefined ? undefined : parsePlatform(options.platform),
        );
        using lease = store.lease();
        for (const { digest } of image.manifest.layers) lease.addBlob(digest);
        const changes = await imageChanges(store.content, image);
        await print(options.json ? asJson(image, changes, options) : asText(changes, options));
      }),
    );
}

function asText(image: ImageChanges, { tree }: LayersOptions): string {
  const { layers, bytes, wasted, efficiency } = image;
  const head = ['LAYER', 'STORED', 'FILES', 'ADDED', 'CHANGED', 'REMOVED', 'WASTED', 'CREATED BY'];
  const rows = layers.map((layer) => [
    shortDigest(layer.descriptor.digest),
    formatBytes(layer.descriptor.size),
    formatBytes(layer.bytes),
    ...(['added', 'changed', 'removed'] as const).map((kind) => String(countOf(layer, kind))),
    formatBytes(layer.wasted),
    createdBy(layer),
  ]);
  const table = tree
    ? layers.map((layer, i) => `${formatTable([head, rows[i] as string[]])}${treeOf(layer)}`).join('\n')
    : formatTable([head, ...rows]);
  // Rounded down: only what wastes nothing is 100 %.
  const percent = (Math.floor(efficiency * 1000) / 10).toFixed(1);
  return `${table}\n${formatBytes(bytes)} in files, ${formatBytes(wasted)} of them hidden by later layers: efficiency ${percent} %\n`;
}

/** How many paths; what was in a directory that was removed counts too. */
function countOf({ changes }: LayerReport, kind: Change['kind']): number {
  return changes.reduce((count, change) => count + (change.kind === kind ? 1 + (change.below ?? 0) : 0), 0);
}

/** Without what old builders put before each command. */
function createdBy({ history }: LayerReport): string {
  const text = (history?.created_by ?? history?.comment ?? '').replace(/^\/bin\/sh -c (?:#\(nop\) +)?/, '');
  const line = printable(text.replace(/\s+/g, ' ').trim());
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

const MARKS = { added: '+', changed: '~', removed: '-' } as const;

interface Branch {
  change?: Change;
  readonly below: Map<string, Branch>;
}

/** The paths of the layer, each below the folder it lies in. */
function treeOf({ changes }: LayerReport): string {
  const root: Branch = { below: new Map() };
  for (const change of changes) {
    let at = root;
    for (const part of change.path === '' ? [] : change.path.split('/')) {
      let next = at.below.get(part);
      if (!next) {
        next = { below: new Map() };
        at.below.set(part, next);
      }
      at = next;
    }
    // Removed and made anew: what is there now.
    if (!at.change || change.kind !== 'removed') at.change = change;
  }
  const lines: string[] = [];
  if (root.change) lines.push(`${MARKS[root.change.kind]} /`);
  draw(root, '', lines);
  return lines.map((line) => `${line}\n`).join('');
}

function draw(branch: Branch, indent: string, lines: string[]): void {
  const names = [...branch.below].sort(([a], [b]) => (a < b ? -1 : 1));
  names.forEach(([name, child], i) => {
    const last = i === names.length - 1;
    const { change } = child;
    lines.push(`${change ? MARKS[change.kind] : ' '} ${indent}${last ? '└─ ' : '├─ '}${shown(name)}${details(child)}`);
    draw(child, `${indent}${last ? '   ' : '│  '}`, lines);
  });
}

function details({ change }: Branch): string {
  if (!change) return '/';
  const slash = change.type === 'directory' ? '/' : '';
  const below = change.below ? `, ${change.below} below` : '';
  return change.bytes > 0 || below ? `${slash} (${formatBytes(change.bytes)}${below})` : slash;
}

/** A name is bytes that somebody else chose. */
function shown(latin1: string): string {
  return showName(Buffer.from(latin1, 'latin1')).slice(1, -1);
}

function asJson(image: Image, { layers, bytes, wasted, efficiency }: ImageChanges, { tree }: LayersOptions): string {
  const value = {
    id: image.id,
    bytes,
    wasted,
    efficiency,
    layers: layers.map((layer) => ({
      digest: layer.descriptor.digest,
      diffId: layer.diffId,
      stored: layer.descriptor.size,
      bytes: layer.bytes,
      wasted: layer.wasted,
      added: countOf(layer, 'added'),
      changed: countOf(layer, 'changed'),
      removed: countOf(layer, 'removed'),
      whiteouts: layer.whiteouts,
      opaque: layer.opaque,
      created: layer.history?.created,
      createdBy: layer.history?.created_by,
      ...(tree && { changes: layer.changes.map((change) => ({ ...change, path: shown(change.path) })) }),
    })),
  };
  return json(value);
}
