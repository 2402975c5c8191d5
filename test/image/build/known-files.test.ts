/** Contents that were read by an earlier build are not read again; whatever has changed is, as soon and as secretly as it may have. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BuildContext, digestSelected, select } from '../../../runtime/image/build/context/index.js';
import { KnownFiles } from '../../../runtime/image/build/known-files.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { makeBuilder } from '../../harness/builder.js';

const LATER = 10_000;

describe('the files of a context', () => {
  let folder: string;
  let store: ImageStore;
  const file = () => join(folder, 'context/file');
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tare-known-'));
    store = await ImageStore.open(join(folder, 'store'));
    mkdirSync(join(folder, 'context'));
    writeFileSync(file(), 'one');
  });
  afterEach(() => {
    vi.restoreAllMocks();
    store.close();
    rmSync(folder, { recursive: true });
  });

  /** What the digests are with what is known, and without; and how many contents were known. */
  async function digests(useBefore = true) {
    using context = BuildContext.open(join(folder, 'context'));
    const files = new KnownFiles(store.cache, 'name', useBefore);
    const found: (string | undefined)[] = [];
    const known = {
      get: (key: string) => {
        found.push(files.get(key));
        return found.at(-1);
      },
      set: (key: string, digest: string) => files.set(key, digest),
    };
    const [withKnown, without] = [
      await digestSelected(select(context, '.'), { known }),
      await digestSelected(select(context, '.')),
    ];
    files.save();
    expect(withKnown).toBe(without);
    return { digest: withKnown, known: found.filter((digest) => digest !== undefined).length };
  }

  function inTheFuture(): void {
    const now = Date.now();
    vi.spyOn(Date, 'now').mockReturnValue(now + LATER);
  }

  it('are known once they have been read, as long as they stay as they are', async () => {
    inTheFuture();
    expect(await digests()).toMatchObject({ known: 0 });
    expect(await digests()).toMatchObject({ known: 1 });
    expect(await digests(false)).toMatchObject({ known: 0 });
    expect(await digests()).toMatchObject({ known: 1 });
  });

  it('are not remembered while a change may leave the time as it is', async () => {
    await digests();
    expect(await digests()).toMatchObject({ known: 0 });
    expect(store.cache.get('build-files:name')).toBeUndefined();
  });

  it.each<[string, (path: string) => void]>([
    ['in place', (path) => writeFileSync(path, 'two')],
    [
      'by another',
      (path) => {
        writeFileSync(`${path}.new`, 'two');
        renameSync(`${path}.new`, path);
      },
    ],
  ])('are read again when they have changed %s, though size and time are the same', async (_how, change) => {
    inTheFuture();
    const { digest } = await digests();
    const { atime, mtime } = statSync(file());
    change(file());
    utimesSync(file(), atime, mtime);
    const after = await digests();
    expect(readFileSync(file(), 'utf8')).toBe('two');
    expect(after).toMatchObject({ known: 0 });
    expect(after.digest).not.toBe(digest);
  });

  it('are forgotten when they are gone, and with the cache', async () => {
    inTheFuture();
    await digests();
    rmSync(file());
    await digests();
    expect(store.cache.get('build-files:name')).toEqual({});
    store.cache.clear();
    expect(store.cache.get('build-files:name')).toBeUndefined();
  });
});

it('a build knows the files of the one before, and sees what has changed', async () => {
  await using builder = await makeBuilder();
  const later = Date.now() + LATER;
  const now = vi.spyOn(Date, 'now').mockReturnValue(later);
  try {
    builder.write({ 'a/one': '1', 'a/two': '2' });
    const text = 'FROM busybox\nCOPY a /a\n';
    await builder.build(text);
    const entry = builder.store.cache.list().find(({ key }) => key.startsWith('build-files:'));
    expect(Object.keys(entry?.value as object)).toHaveLength(2);
    expect((await builder.build(text)).cached).toEqual(['COPY a /a']);
    builder.write({ 'a/two': '3' });
    const { cached, image } = await builder.build(text);
    expect(cached).toEqual([]);
    expect(await builder.file(image, 'a/two')).toBe('3');
  } finally {
    now.mockRestore();
  }
});
