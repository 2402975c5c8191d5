import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mountOverlay, mountOverlayWith } from '../../../runtime/image/snapshot/merged.js';
import { probeFeatures, withoutFeatures } from '../../../runtime/kernel/features.js';

const features = probeFeatures();
let folder: string;

beforeEach((context) => {
  if (process.geteuid?.() !== 0) context.skip('only root mounts here');
  folder = mkdtempSync(join(tmpdir(), 'tare-merged-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function layer(name: string, files: Record<string, string>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

function layers(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, i) => layer(`${prefix}${i}`, { all: `${i}`, [`only${i}`]: `${i}` }));
}

const upperOf = () => ({ upper: layer('upper', {}), work: layer('work', {}) });

describe.each([
  ['as this kernel can', features],
  ['without lowerdir+', withoutFeatures(features, 'overlayLayers')],
])('mountOverlay %s', (_, kernel) => {
  it.each([1, 2, 10])('shows %i folders as one, the uppermost first, and read-only', async (count) => {
    using root = await mountOverlayWith({ lower: layers(count, 'l') }, kernel);
    const at = `/proc/self/fd/${root.fd}`;
    expect(readFileSync(join(at, 'all'), 'utf8')).toBe('0');
    expect(readdirSync(at).length).toBe(count + 1);
    expect(() => writeFileSync(join(at, 'new'), '')).toThrow('EROFS');
  });

  it('writes to the upper folder only', async () => {
    const lower = layers(2, 'l');
    const over = upperOf();
    using root = await mountOverlayWith({ lower, ...over }, kernel);
    writeFileSync(`/proc/self/fd/${root.fd}/new`, 'written');
    expect(readFileSync(join(over.upper, 'new'), 'utf8')).toBe('written');
    expect(lower.map((path) => existsSync(join(path, 'new')))).toEqual([false, false]);
  });

  it('has an empty tree below when there are no layers', async () => {
    using empty = await mountOverlayWith({ lower: [] }, kernel);
    expect(readdirSync(`/proc/self/fd/${empty.fd}`)).toEqual([]);
    const over = upperOf();
    using root = await mountOverlayWith({ lower: [], ...over }, kernel);
    writeFileSync(`/proc/self/fd/${root.fd}/new`, 'written');
    expect(readdirSync(over.upper)).toEqual(['new']);
  });

  it('takes names with colons, commas, blanks and backslashes', async () => {
    const lower = [layer('a:b', { one: '1' }), layer('c,d e', { two: '2' }), layer('f\\:g', { three: '3' })];
    const over = { upper: layer('u\\:p,', {}), work: layer('w\\:', {}) };
    using root = await mountOverlayWith({ lower, ...over }, kernel);
    writeFileSync(`/proc/self/fd/${root.fd}/new`, '');
    expect(readdirSync(`/proc/self/fd/${root.fd}`).sort()).toEqual(['new', 'one', 'three', 'two']);
    expect(readdirSync(over.upper)).toEqual(['new']);
  });

  it('takes paths that are longer than 255 bytes', async () => {
    const deep = Array(5).fill('d'.repeat(200)).join('/');
    using root = await mountOverlayWith({ lower: layers(3, `${deep}/l`) }, kernel);
    expect(readFileSync(`/proc/self/fd/${root.fd}/all`, 'utf8')).toBe('0');
  });

  it('opens no device of an image', async () => {
    const lower = layers(2, 'l');
    execFileSync('mknod', [join(lower[1] as string, 'null'), 'c', '1', '3']);
    using root = await mountOverlayWith({ lower }, kernel);
    expect(lstatSync(`/proc/self/fd/${root.fd}/null`).isCharacterDevice()).toBe(true);
    expect(() => readFileSync(`/proc/self/fd/${root.fd}/null`)).toThrow('EACCES');
  });

  it('leaves no mount behind', async () => {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').includes(folder);
    (await mountOverlayWith({ lower: layers(2, 'l') }, kernel)).close();
    expect([mounts, readFileSync('/proc/self/mountinfo', 'utf8').includes(folder)]).toEqual([false, false]);
  });
});

it('takes 500 folders, and says how many are too many', async () => {
  const lower = layers(501, 'l');
  using root = await mountOverlay({ lower: lower.slice(1) });
  expect(readdirSync(`/proc/self/fd/${root.fd}`).length).toBe(501);
  await expect(mountOverlay({ lower })).rejects.toMatchObject({
    code: 'unsupported',
    message: '501 layers are more than the 500 that the kernel can put together',
  });
});

it('an older kernel refuses more than a page of options in one sentence', async () => {
  const lower = layers(30, `${'x'.repeat(150)}`);
  const kernel = { overlayLayers: false, kernel: '6.1.0' };
  await expect(mountOverlayWith({ lower }, kernel)).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(
      /^the 30 layers need \d{4} bytes of mount options, and this kernel \(6\.1\.0\) takes 4095; Linux 6\.5 takes 500 layers$/,
    ),
  });
});

it('names the folder that is missing', async () => {
  await expect(mountOverlay({ lower: ['/nowhere/at/all'] })).rejects.toMatchObject({
    code: 'not-found',
    message: 'there is no folder /nowhere/at/all',
  });
});

it('says where an upper folder cannot be', async () => {
  using outer = await mountOverlay({ lower: layers(1, 'l'), ...upperOf() });
  const at = `/proc/self/fd/${outer.fd}`;
  mkdirSync(join(at, 'u'));
  mkdirSync(join(at, 'w'));
  const inner = { lower: layers(1, 'm'), upper: join(at, 'u'), work: join(at, 'w') };
  await expect(mountOverlay(inner)).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(/is on an overlay, as in a container/),
  });
});
