/** What is done again, and what is not. */
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Builder, makeBuilder } from '../../harness/builder.js';

describe('the cache of builds', () => {
  let builder: Builder;
  beforeAll(async () => {
    builder = await makeBuilder();
  });
  afterAll(async () => {
    await builder[Symbol.asyncDispose]();
  });

  it('gives the same image for the same input, whatever the times of the files', async () => {
    builder.write({ 'a/file': 'content' });
    const text = 'FROM busybox\nLABEL a=b\nWORKDIR /w\nCOPY a .\nRUN cat file > copy; date > date\nCMD ["x"]\n';
    const first = await builder.build(text);
    utimesSync(join(builder.folder, 'context/a/file'), 1, 1);
    const second = await builder.build(text);
    expect(second).toMatchObject({ imageId: first.imageId, digest: first.digest, output: '' });
    expect(second.cached).toEqual(['WORKDIR /w', 'COPY a .', 'RUN cat file > copy; date > date']);
  });

  it.each([
    ['a file that is copied', { files: { file: 'other' }, again: ['COPY file /', 'RUN cat /file'] }],
    ['a file that is not copied', { files: { other: 'other' }, again: [] }],
    ['an argument', { args: { A: '2' }, again: ['RUN cat /file'] }],
    ['a proxy', { args: { HTTP_PROXY: 'http://127.0.0.1:1' }, again: [] }],
    ['nothing, without cache', { noCache: true, again: ['COPY file /', 'RUN cat /file'] }],
  ])(
    'when %s changes',
    async (_name, change: { files?: object; args?: object; noCache?: boolean; again: string[] }) => {
      const text = 'FROM busybox\nCOPY file /\nARG A=1\nRUN cat /file\n';
      builder.write({ file: 'one', other: 'one' });
      await builder.build(text);
      builder.write((change.files ?? {}) as Record<string, string>);
      const { done } = await builder.build(text, {
        args: new Map(Object.entries((change.args ?? {}) as Record<string, string>)),
        noCache: change.noCache ?? false,
      });
      expect(done.filter((step) => /^(COPY|RUN)/.test(step))).toEqual(change.again);
    },
  );

  it('knows a step by what it stands on, not by the file that it stands in', async () => {
    await builder.build('FROM busybox\nRUN echo same > /same\n');
    const { cached } = await builder.build('FROM busybox AS x\nLABEL other=1\nUSER 0\nUSER root\nRUN echo other\n');
    expect(cached).toEqual([]);
    const again = await builder.build('FROM busybox AS y\nLABEL other=2\nRUN echo same > /same\n', { target: 'y' });
    expect(again.cached).toEqual(['RUN echo same > /same']);
  });

  it('does a step once that two builds need at the same time', async () => {
    const text = 'FROM busybox\nRUN sleep 0.3; cat /proc/sys/kernel/random/uuid > /uuid\n';
    const both = await Promise.all([builder.build(text), builder.build(text)]);
    expect(new Set(both.map(({ image }) => image.manifest.layers.at(-1)?.digest)).size).toBe(1);
    expect(both.flatMap(({ cached }) => cached)).toHaveLength(1);
  });

  it('goes with its layers: what has been pruned is done again', async () => {
    const text = 'FROM busybox\nRUN echo pruned > /pruned\n';
    await builder.build(text, { names: [] });
    builder.store.cache.clear();
    await builder.store.collectGarbage();
    const { done, image } = await builder.build(text);
    expect(done).toContain('RUN echo pruned > /pruned');
    expect(await builder.file(image, 'pruned')).toBe('pruned\n');
  });

  it('is enough when the unpacked layers have gone, and the blobs have not', async () => {
    const first = await builder.build('FROM busybox\nRUN echo 1 > /one\n');
    builder.store.database.run('DELETE FROM cache_items WHERE kind = ?', 'snapshot');
    await builder.store.collectGarbage();
    const { cached, image } = await builder.build('FROM busybox\nRUN echo 1 > /one\nRUN cat /one > /two\n');
    expect(cached).toEqual(['RUN echo 1 > /one']);
    expect(image.manifest.layers[1]).toEqual(first.image.manifest.layers[1]);
    expect(await builder.file(image, 'two')).toBe('1\n');
  });
});
