/** Attack 20: a few kilobytes that become any number of bytes, files, folders or attributes. What is used stays within the budget, and the memory too. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { applyLayer, type Budget, compress, DEFAULT_BUDGET, decompress } from '../../runtime/image/layer/index.js';
import {
  archive,
  END,
  entry,
  failureOf,
  folderFd,
  inFolder,
  type Made,
  pieces,
  refusal,
} from '../image/layer/support.js';

const MIB = 1 << 20;

/** A file of zeros, packed: its header says `size`, and as many are there. */
async function bomb(kind: 'gzip' | 'zstd', size: number): Promise<Buffer> {
  function* content() {
    yield entry({ name: 'zeros', size });
    for (let left = size; left > 0; left -= MIB) yield Buffer.alloc(MIB);
    yield END;
  }
  const stream = compress(kind, { level: 1 });
  const parts: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => parts.push(chunk));
  await Promise.all([once(stream, 'end'), pipeline(Readable.from(content()), stream)]);
  return Buffer.concat(parts);
}

const many = (count: number, made: (i: number) => Made) =>
  Buffer.concat([...Array.from({ length: count }, (_, i) => entry(made(i))), END]);

describe('a bomb', () => {
  it.each(['gzip', 'zstd'] as const)('of %s is refused by its ratio, and by its size', (kind) =>
    inFolder(async (root) => {
      const packed = await bomb(kind, 256 * MIB);
      expect(packed.length).toBeLessThan(2 * MIB);
      using target = folderFd(root);
      const tried = (budget: Partial<Budget>) =>
        failureOf(applyLayer(pieces(packed, 65_536), kind, target.fd, { budget }));
      expect(await tried({ ratioFrom: 16 * MIB })).toMatchObject({
        code: 'protocol',
        message: 'the layer has more than 200 times its compressed size',
      });
      expect(await tried({ bytes: 16 * MIB })).toMatchObject({
        code: 'protocol',
        message: 'the layer has more than 16777216 bytes when uncompressed',
      });
    }),
  );

  it('does not fill the memory while nobody takes what comes out', () =>
    inFolder(async () => {
      const stream = decompress('zstd');
      stream.end(await bomb('zstd', 256 * MIB));
      await once(stream, 'readable');
      await new Promise((resolve) => setImmediate(resolve));
      for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
      expect(stream.readableLength).toBeLessThan(8 * MIB);
      stream.destroy();
    }));

  it('behind the end of the archive is one too', () =>
    inFolder(async (root) => {
      const packed = gzipSync(Buffer.concat([archive({ name: 'a' }), Buffer.alloc(64 * MIB)]));
      using target = folderFd(root);
      const budget = { ratioFrom: 16 * MIB };
      expect((await failureOf(applyLayer(pieces(packed, 4096), 'gzip', target.fd, { budget }))).message).toMatch(
        /200 times/,
      );
    }));

  it('of a window of 2 GiB is refused before it is allocated', () =>
    inFolder(async (root) => {
      // A frame header: magic, no single segment, window log 31 (RFC 8878, 3.1.1.1.2).
      const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 1, 0, 0]);
      using target = folderFd(root);
      expect((await failureOf(applyLayer(pieces(frame), 'zstd', target.fd))).message).toMatch(/no zstd stream.*memory/);
    }));
});

describe('a layer of too many', () => {
  it.each<[string, Partial<Budget>, Buffer, RegExp]>([
    ['entries', { entries: 1000 }, many(1001, (i) => ({ name: `f${i}` })), /^the layer has more than 1000 files$/],
    [
      'folders that nobody names',
      { entries: 1000 },
      many(25, (i) => ({ name: `${i}/${'d/'.repeat(100)}f`.slice(0, 100) })),
      /more than 1000 files/,
    ],
    [
      'names left to the layers below',
      { unsettledBytes: 5000 },
      many(99, (i) => ({ name: `d${i}/f` })),
      /5000 bytes of names/,
    ],
    [
      'links left to the layers below',
      { unsettledBytes: 5000 },
      many(99, (i) => ({ name: `l${i}`, type: '1', link: 'x'.repeat(90) })),
      /5000 bytes of names/,
    ],
    [
      'holes',
      {},
      archive({ name: 'a', pax: { 'GNU.sparse.realsize': '9000000000000000', 'GNU.sparse.numblocks': '0' } }),
      /sparse files/,
    ],
  ])('%s is refused', (_, budget, layer, message) =>
    inFolder(async (root) => {
      expect(await refusal(layer, root, { budget })).toMatchObject({
        code: 'protocol',
        message: expect.stringMatching(message),
      });
    }),
  );

  it('folders in each other is refused, and one of a name too long for the kernel', () =>
    inFolder(async (root) => {
      const deep = (depth: number): Made => ({ name: 'x', pax: { path: `${'d/'.repeat(depth)}f` } });
      expect((await refusal(archive(deep(5000)), root)).message).toMatch(/longer than 4095 bytes$/);
      expect((await refusal(archive(deep(1000)), root)).message).toMatch(/lies deeper than 255 folders$/);
      expect((await refusal(archive({ name: 'x', pax: { path: 'n'.repeat(256) } }), root)).message).toMatch(
        /longer than 255 bytes$/,
      );
      expect(readdirSync(root)).toEqual([]);
    }));

  it('attributes, or one too large, is refused', () =>
    inFolder(async (root) => {
      const xattrs = (count: number, size: number): Made => ({
        name: 'a\n',
        pax: Object.fromEntries(
          Array.from({ length: count }, (_, i) => [`SCHILY.xattr.user.n${i}`, Buffer.alloc(size)]),
        ),
      });
      expect((await refusal(archive(xattrs(101, 1)), root)).message).toBe(
        'the layer\'s entry "a\\x0a" has more than 100 extended attributes',
      );
      expect((await refusal(archive(xattrs(1, 65_537)), root)).message).toMatch(/attribute of more than 65536 bytes$/);
    }));

  it('is what no honest layer has: the defaults', () => {
    expect(DEFAULT_BUDGET).toMatchObject({ entries: 2_000_000, depth: 255, ratio: 200 });
  });
});
