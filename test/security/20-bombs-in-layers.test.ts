/** Attack 20: a few kilobytes that become any number of bytes, files, folders or attributes. What is used stays within the budget, and the memory too. */
import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { resolveIn } from '../../runtime/image/build/context/resolve.js';
import {
  applyLayer,
  type Budget,
  compress,
  DEFAULT_BUDGET,
  decompress,
  settleLayer,
} from '../../runtime/image/layer/index.js';
import { tarEntries } from '../../runtime/image/layer/tar/reader.js';
import {
  apply,
  archive,
  END,
  entry,
  failureOf,
  folderFd,
  inFolder,
  type Made,
  paxRecords,
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

/** So many records of different keywords. */
const records = (count: number, from = 0): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`key.${from + i}`, 'x']));
const global = (values: Record<string, string | Buffer>): Made => ({ name: 'g', type: 'g', data: paxRecords(values) });

describe('extended headers', () => {
  it.each<[string, Made[], RegExp]>([
    ['one global header', [global(records(1001))], /more than 1000 records \(at byte 0\)$/],
    [
      'several global headers',
      [global(records(600)), global(records(600, 600))],
      /more than 1000 global records \(at byte \d+\)$/,
    ],
    ['the header of an entry', [{ name: 'f', pax: records(1001) }], /more than 1000 records \(at byte 0\)$/],
    ['long keywords', ['a', 'b'].map((key) => global({ [key.repeat(600_000)]: 'x' })), /longer than 1048576 bytes/],
  ])('of too many records are refused: %s', (_, entries, message) =>
    inFolder(async (root) => {
      const layer = archive(...entries, { name: 'f' });
      expect(await refusal(layer, root)).toMatchObject({ code: 'protocol', message: expect.stringMatching(message) });
      expect(readdirSync(root)).toEqual([]);
    }),
  );

  it('may have as many as there can be, and those taken back do not count', () =>
    inFolder(async (root) => {
      const none = Object.fromEntries(Object.keys(records(600)).map((key) => [key, '']));
      const layer = archive(global(records(1000)), global(none), global(records(600, 2000)), { name: 'f' });
      expect((await apply(layer, root)).entries).toBe(1);
    }));

  it.each(['GNU.sparse.map', 'GNU.sparse.major', 'GNU.sparse.realsize'])(
    'have no map of a sparse file for all entries: %s',
    (key) =>
      inFolder(async (root) => {
        const layer = archive(global({ [key]: '1' }), { name: 'f' });
        expect((await refusal(layer, root)).message).toMatch(
          /a global record is the map of a sparse file \(at byte 0\)$/,
        );
      }),
  );

  it('that are global are read once, not for each entry', async () => {
    const layer = archive(global({ 'SCHILY.xattr.user.a': 'b' }), { name: '1' }, { name: '2' }, { name: '3' });
    const seen = new Set<unknown>();
    for await (const { xattrs } of tarEntries(pieces(layer))) seen.add(xattrs);
    expect([...seen]).toEqual([[{ name: Buffer.from('user.a'), value: Buffer.from('b') }]]);
  });

  it('that are global do not give any number of entries their attributes', () =>
    inFolder(async (root) => {
      const attribute = global({ 'SCHILY.xattr.user.a': Buffer.alloc(994) });
      const layer = archive(attribute, ...Array.from({ length: 11 }, (_, i) => ({ name: `f${i}` })));
      expect((await refusal(layer, root, { budget: { allXattrBytes: 10_000 } })).message).toBe(
        'the layer has more than 10000 bytes of extended attributes',
      );
      expect(readdirSync(root)).toContain('f9');
    }));
});

/** Where each of the links leads: up and down through `d`, and on to the next. */
const CHAIN = Array.from({ length: 39 }, (_, i) => [`l${i}`, `${'d/../'.repeat(800)}${i === 38 ? 'd' : `l${i + 1}`}`]);
const chain = CHAIN.map(([name, link]): Made => ({ name: `${name}`, type: '2', pax: { linkpath: `${link}` } }));
const d: Made = { name: 'd/', type: '5' };

describe('symbolic links through thousands of folders', () => {
  it('are followed no further than a path of the kernel can be', () =>
    inFolder(async (root) => {
      expect((await refusal(archive(d, ...chain, { name: 'l0/f' }), root)).message).toBe(
        'the layer\'s entry "l0/f" lies below symbolic links of more than 4096 components',
      );
    }));

  it('are followed by a layer so often, and no more', () =>
    inFolder(async (root) => {
      const files = Array.from({ length: 20 }, (_, i): Made => ({ name: `l38/f${i}` }));
      const layer = archive(d, chain[38] as Made, ...files);
      expect((await refusal(layer, root, { budget: { linkSteps: 10_000 } })).message).toBe(
        'the layer has more than 10000 steps to go along its symbolic links',
      );
      expect(readdirSync(join(root, 'd'))).toHaveLength(6); // 1601 steps each
    }));

  it.each<[string, Made, Partial<Budget>, RegExp]>([
    ['for one hard link', { name: 'h', type: '1', link: 'l0/x' }, {}, /"l0" leads along.*more than 4096 components$/],
    ['for all of them', { name: 'h', type: '1', link: 'l38/x' }, { linkSteps: 500 }, /more than 500 steps/],
    ['for a folder', { name: 'l0/x' }, {}, /leads along.*more than 4096 components$/],
  ])('are not followed in the layers below either: %s', (_, entry, budget, message) =>
    inFolder(async (root, folder) => {
      await apply(archive(d, ...chain), root);
      mkdirSync(join(folder, 'upper'));
      const { unsettled } = await apply(archive(entry), join(folder, 'upper'));
      using lower = folderFd(root);
      using upper = folderFd(join(folder, 'upper'));
      const settle = async () => settleLayer(unsettled, upper.fd, [lower.fd], { budget });
      expect((await failureOf(settle())).message).toMatch(message);
    }),
  );

  it('are not followed in what a build copies from', () =>
    inFolder(async (root) => {
      mkdirSync(join(root, 'd'));
      for (const [name, target] of CHAIN) symlinkSync(`${target}`, join(root, `${name}`));
      using fd = folderFd(root);
      expect((await failureOf((async () => resolveIn(fd.fd, 'l0/f'))())).message).toMatch(/more than 4096 components$/);
      using found = resolveIn(fd.fd, 'l37');
      expect(found?.path).toEqual(['d']);
    }));
});
