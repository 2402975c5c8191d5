/** index.json: names that Tare gives, and those that other programs have written. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { familiarName, parseReference } from '../../../runtime/image/reference.js';
import { LayoutNames } from '../../../runtime/image/store/layout.js';
import { type Descriptor, digestOf, MEDIA } from '../../../runtime/oci/image/index.js';

let root: string;
let names: LayoutNames;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tare-names-'));
  names = new LayoutNames(root);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const target = (text: string): Descriptor => ({
  mediaType: MEDIA.ociManifest,
  digest: digestOf(text),
  size: text.length,
});
const [one, two] = [target('one'), target('two two')];
const ref = parseReference;
const index = () => JSON.parse(readFileSync(join(root, 'index.json'), 'utf8'));
const listed = () =>
  names.list().map((entry) => [entry.reference && familiarName(entry.reference), entry.target.digest]);

describe('names', () => {
  it('are set, found, listed and removed', async () => {
    await names.set(ref('debian:12'), one);
    expect(names.get(ref('docker.io/library/debian:12'))).toEqual(one);
    expect(names.get(ref('debian'))).toBeUndefined();
    expect(listed()).toEqual([['debian:12', one.digest]]);
    expect(await names.delete(ref('debian:12'))).toBe(true);
    expect(await names.delete(ref('debian:12'))).toBe(false);
    expect(listed()).toEqual([]);
  });

  it('are written as the layout has them, in full', async () => {
    await names.set(ref('debian:12'), { ...one, annotations: { other: 'kept' } });
    expect(index()).toEqual({
      schemaVersion: 2,
      mediaType: MEDIA.ociIndex,
      manifests: [
        { ...one, annotations: { other: 'kept', 'org.opencontainers.image.ref.name': 'docker.io/library/debian:12' } },
      ],
    });
    expect(names.get(ref('debian:12'))).toEqual({ ...one, annotations: { other: 'kept' } });
  });

  it('with a digest that is not the image’s are refused, and are none where another program has written them', async () => {
    const pinned = ref(`debian@${one.digest}`);
    await expect(names.set(pinned, two)).rejects.toMatchObject({ code: 'protocol' });
    const name = `docker.io/library/debian@${one.digest}`;
    const lie = { ...two, annotations: { 'org.opencontainers.image.ref.name': name } };
    writeFileSync(join(root, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [lie] }));
    expect(names.get(pinned)).toBeUndefined();
    expect(listed()).toEqual([[undefined, two.digest]]);
    await names.set(pinned, one);
    expect(names.get(pinned)).toEqual(one);
  });

  it('are taken from one image by another, which is left without', async () => {
    await names.set(ref('app'), one);
    await names.set(ref('app'), two);
    expect(listed()).toEqual([
      [undefined, one.digest],
      ['app:latest', two.digest],
    ]);
    await names.set(ref('old'), one);
    expect(listed()).toEqual([
      ['app:latest', two.digest],
      ['old:latest', one.digest],
    ]);
    await names.set(ref('app'), one);
    expect(listed()).toEqual([
      ['old:latest', one.digest],
      [undefined, two.digest],
      ['app:latest', one.digest],
    ]);
  });

  it('leave nothing nameless behind while the image has another', async () => {
    await names.set(ref('app'), one);
    await names.set(ref('app:2'), one);
    await names.set(ref('app'), two);
    expect(listed()).toEqual([
      ['app:2', one.digest],
      ['app:latest', two.digest],
    ]);
  });

  it('that mean this already are not written again', async () => {
    await names.set(ref('debian:12'), { ...one, annotations: { other: 'kept' } });
    await names.set(ref('debian:13'), two);
    const ino = () => statSync(join(root, 'index.json')).ino;
    const before = ino();
    await names.set(ref('debian:12'), { ...one, annotations: { other: 'kept' } });
    await names.set(ref('debian:13'), two);
    await names.keep(two);
    expect(ino()).toBe(before);
    await names.set(ref('debian:12'), one);
    expect(ino()).not.toBe(before);
    expect(names.get(ref('debian:12'))).toEqual(one);
  });

  it('of a digest stand for that, whatever their tag', async () => {
    await names.set(ref(`debian:12@${one.digest}`), one);
    expect(listed()).toEqual([[`debian@${one.digest}`, one.digest]]);
    expect(names.get(ref(`debian@${one.digest}`))).toEqual(one);
    expect(names.get(ref('debian:12'))).toBeUndefined();
  });

  it('are found by digest in the same repository only', async () => {
    await names.set(ref('debian:12'), one);
    expect(names.get(ref(`debian@${one.digest}`))).toEqual(one);
    expect(names.get(ref(`debian:11@${one.digest}`))).toEqual(one);
    expect(names.get(ref(`busybox@${one.digest}`))).toBeUndefined();
  });

  it('are all there when many are given at once', async () => {
    const all = Array.from({ length: 30 }, (_, i) => `app:${i}`);
    await Promise.all(all.map((name) => new LayoutNames(root).set(ref(name), one)));
    expect(new Set(listed().map(([name]) => name))).toEqual(new Set(all));
  });
});

describe('an index.json of another program', () => {
  const write = (value: unknown) =>
    writeFileSync(join(root, 'index.json'), typeof value === 'string' ? value : JSON.stringify(value));
  const entry = (name: string | undefined, descriptor = one) => ({
    ...descriptor,
    ...(name !== undefined && { annotations: { 'org.opencontainers.image.ref.name': name } }),
  });

  it('may have short names, and none', () => {
    write({
      schemaVersion: 2,
      manifests: [entry('busybox:1'), entry('quay.io/a/b'), entry(undefined), entry('No Name')],
    });
    expect(listed().map(([name]) => name)).toEqual(['busybox:1', 'quay.io/a/b:latest', undefined, undefined]);
    expect(names.get(ref('busybox:1'))).toEqual(one);
    expect(names.get(ref('quay.io/a/b'))).toEqual(one);
  });

  it('keeps what is in it when it is changed', async () => {
    write({ schemaVersion: 2, annotations: { a: 'b' }, manifests: [entry('No Name'), entry('busybox:1')] });
    await names.set(ref('busybox:1'), two);
    expect(index().annotations).toEqual({ a: 'b' });
    expect(index().manifests[0]).toEqual(entry('No Name'));
    expect(names.get(ref('busybox:1'))).toEqual(two);
  });

  it.each([
    ['no JSON', '{', /is no JSON/],
    ['a list', [], /no JSON object/],
    ['another version', { schemaVersion: 3, manifests: [] }, /schemaVersion/],
    [
      'a digest that is a path',
      { schemaVersion: 2, manifests: [{ ...one, digest: 'sha256:../../x' }] },
      /manifests\[0\].digest is no digest/,
    ],
  ])('is refused when it is %s', async (_, value, message) => {
    write(value);
    expect(() => names.list()).toThrow(message);
    await expect(names.set(ref('x'), one)).rejects.toThrow(message);
    expect(readFileSync(join(root, 'index.json'), 'utf8')).toBe(
      typeof value === 'string' ? value : JSON.stringify(value),
    );
  });
});
