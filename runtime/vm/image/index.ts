/**
 * The image of a learner's machine: kernel, initramfs (the agent and a handful of modules), base layer, Tare's layer.
 * `prepareImage` builds what is missing and is quick when nothing is; an interrupted build leaves nothing half-made, and
 * the next one goes on after the last part that was whole.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { nativeFile } from '../../kernel/places.js';
import { hostApt } from './apt.js';
import { type BaseLayer, baseKey, describeBase, prepareBase } from './base.js';
import { type CpioEntry, writeCpio } from './cpio.js';
import { artefact, exists, make, needSpace, type Progress, sweep, touch, withBuildLock } from './store.js';
import { buildLayer, checkPrograms, knownKey, type LayerFile, layerKey, listFiles, stampKey } from './tare-layer.js';

/** Files of a machine that can be booted. */
export interface Image {
  readonly key: string;
  readonly base: string; // key of the base layer
  readonly kernel: string;
  readonly initramfs: string;
  /** Read-only disks: vda, vdb. */
  readonly disks: readonly [string, string];
}

const TARE_LAYER_BYTES = 400 << 20;

/** The image for the working tree as it is now. Throws `no-space`, `not-found` (a program is missing), `permission`, `machine`. */
export async function prepareImage(options: { onProgress?: Progress } = {}): Promise<Image> {
  const onProgress = options.onProgress ?? (() => undefined);
  checkPrograms();
  const ready = await readyImage();
  if (ready) return ready;
  if (process.geteuid?.() !== 0)
    throw new TareError('permission', 'building the machine’s image needs root: run this command as root');
  const files = await listFiles();
  return await withBuildLock(onProgress, async () => {
    const base = await prepareBase((sentence, fraction) => onProgress(sentence, fraction * 0.85));
    const key = await imageKey(base, await layerKey(files));
    if (!(await exists('image', key))) {
      onProgress('packing Tare for the machine', 0.88);
      await needSpace(TARE_LAYER_BYTES);
      await make('image', key, (folder) => build(folder, base, files));
    }
    const kept = [`base-${base.key}`, `image-${key}`, `stamp-${stampKey(files)}`];
    await touchAll(base.key, key);
    await sweep((name) => kept.includes(name) || name.startsWith(`snapshot-${key}`));
    onProgress('the machine’s image is ready', 1);
    return describeImage(key, base);
  });
}

/** The image for the working tree as it is now, where it has been built; nothing is built or locked. */
export async function readyImage(): Promise<Image | undefined> {
  const [files, { suite }] = await Promise.all([listFiles(), hostApt()]);
  return await findImage(files, baseKey(suite));
}

async function findImage(files: readonly LayerFile[], key: string): Promise<Image | undefined> {
  if (!(await exists('base', key))) return undefined;
  const base = describeBase(key);
  const layer = await knownKey(files);
  if (!layer) return undefined;
  const image = await imageKey(base, layer);
  if (!(await exists('image', image))) return undefined;
  await touchAll(base.key, image);
  return describeImage(image, base);
}

async function touchAll(base: string, image: string): Promise<void> {
  await Promise.all([touch('base', base), touch('image', image)]);
}

function describeImage(key: string, base: BaseLayer): Image {
  const folder = artefact('image', key);
  return {
    key,
    base: base.key,
    kernel: base.vmlinux,
    initramfs: join(folder, 'initramfs.cpio'),
    disks: [base.squashfs, join(folder, 'tare.squashfs')],
  };
}

async function imageKey(base: BaseLayer, layer: string): Promise<string> {
  const hash = createHash('sha256').update(base.key).update(layer);
  return hash
    .update(await readFile(nativeFile('agent')))
    .digest('hex')
    .slice(0, 16);
}

async function build(folder: string, base: BaseLayer, files: readonly LayerFile[]): Promise<void> {
  const work = join(folder, 'work');
  await mkdir(work);
  await buildLayer(files, join(folder, 'tare.squashfs'), work);
  await rm(work, { recursive: true });
  await writeFile(join(folder, 'initramfs.cpio'), await initramfs(base));
}

async function initramfs(base: BaseLayer): Promise<Buffer> {
  const directory = (path: string): CpioEntry => ({ path, mode: 0o040755 });
  const entries = [...['dev', 'base', 'tare', 'ram', 'root', 'modules'].map(directory)];
  for (const path of base.modules)
    entries.push({ path: `modules/${basename(path)}`, mode: 0o100644, data: await readFile(path) });
  entries.push({ path: 'init', mode: 0o100755, data: await readFile(nativeFile('agent')) });
  return writeCpio(entries);
}
