/** A layer becomes a folder: everything that an archive can say of a file is there afterwards, and nothing else. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  createReadStream,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { applyLayer, compress } from '../../../runtime/image/layer/index.js';
import type { Compression } from '../../../runtime/oci/image/index.js';
import { describeTree, diffTrees, type TreeEntry } from '../../harness/tree.js';
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
} from './support.js';

/** The tree that these entries make. */
function treeOf(...entries: readonly Made[]): Promise<ReadonlyMap<string, TreeEntry>> {
  return inFolder(async (root) => {
    await apply(archive(...entries), root);
    return describeTree(root);
  });
}

const OPAQUE = { 'trusted.overlay.opaque': 'y' };
const WHITEOUT = { type: 'character', device: '0:0' };

describe('a layer that GNU tar has written', () => {
  it.each<[Compression, string, string]>([
    ['none', 'cat', 'cat'],
    ['gzip', 'gzip -1', 'gzip -d'],
    ['zstd', 'zstd -q', 'zstd -dq'],
  ])('is the tree that it was made of (%s)', (compression, pack, unpack) =>
    inFolder(async (root, folder) => {
      const from = join(folder, 'from');
      execFileSync(
        'sh',
        [
          '-ec',
          `mkdir -p from/d/e from/sticky && cd from && echo text > d/f && ln d/f d/e/hard && ln -s ../f d/e/soft
          ln -s nowhere dangling && ln dangling hard-to-link && mkfifo p && mknod null c 1 3 && mknod disk b 259 7
          printf x > setuid && chown 12:34 setuid && chmod 6755 setuid && setfattr -n user.a -v b setuid
          cp /bin/true caps && chown 5:6 caps && setcap cap_net_raw+ep caps && setfattr -h -n trusted.l -v 1 dangling
          chmod 1777 sticky && truncate -s 5M sparse && printf end >> sparse && touch -d 1969-12-31T23:00:00.5Z old
          touch "$(printf 'n\\377\\nl')" && mkdir "$(printf 'd%0200d' 0)" && touch "$(printf 'd%0200d/f%0200d' 0 0)"
          chown 4000000000:3000000000 old && chmod 500 d/e && touch -d '2001-02-03 04:05:06.789012345' d/e d .`,
        ],
        { cwd: folder, env: { ...process.env, PATH: `/usr/sbin:/sbin:${process.env.PATH}` } },
      );
      const tar = `tar --format=posix --sparse --xattrs --xattrs-include='*' --numeric-owner -C from -cf - .`;
      execFileSync('sh', ['-ec', `${tar} | ${pack} > packed`], { cwd: folder });
      const target = folderFd(root);
      const digest = execFileSync('sh', ['-ec', `${unpack} < packed | sha256sum`], {
        cwd: folder,
        encoding: 'utf8',
      }).slice(0, 64);
      const applied = await applyLayer(createReadStream(join(folder, 'packed')), compression, target.fd);
      target.close();
      expect(applied).toMatchObject({
        diffId: `sha256:${digest}`,
        unsettled: { folders: [], links: [] },
        skipped: { devices: 0, xattrs: 0 },
      });
      expect(diffTrees(describeTree(from), describeTree(root))).toEqual([]);
      expect(lstatSync(join(root, 'sparse')).blocks * 512).toBeLessThan(100_000);
    }),
  );

  it.each(['gnu', 'oldgnu', 'ustar', 'v7', 'posix --sparse-version=0.0', 'posix --sparse-version=0.1'])(
    'in the dialect %s is read',
    (dialect) =>
      inFolder(async (root, folder) => {
        const from = join(folder, 'from');
        mkdirSync(join(from, 'd'), { recursive: true });
        writeFileSync(join(from, 'd/f'), 'x'.repeat(1000));
        linkSync(join(from, 'd/f'), join(from, 'd/g'));
        symlinkSync('f', join(from, 'd/s'));
        writeFileSync(join(from, 'n'.repeat(90)), '');
        const rich = !['v7', 'ustar'].includes(dialect);
        if (rich) {
          writeFileSync(join(from, 'n'.repeat(250)), 'long');
          symlinkSync('t'.repeat(300), join(from, 'long-link'));
          for (const [name, size] of [
            ['hole', 1 << 20],
            ['ends-in-hole', 1 << 20],
          ] as const) {
            writeFileSync(join(from, name), 'begin');
            truncateSync(join(from, name), size);
          }
          // More parts than a header of old GNU has room for.
          execFileSync(
            'sh',
            [
              '-ec',
              `for i in $(seq 1 60); do printf $i | dd of=parts bs=1 seek=$((i * 65536)) conv=notrunc status=none; done`,
            ],
            { cwd: from },
          );
        }
        for (const name of readdirSync(from)) if (name !== 'long-link') utimesSync(join(from, name), 1000, 2000);
        execFileSync(
          'sh',
          [
            '-ec',
            `tar --format=${dialect} --mtime=@1234567890 ${rich ? '--sparse' : ''} --numeric-owner -C from -cf a.tar .`,
          ],
          { cwd: folder },
        );
        await apply(readFileSync(join(folder, 'a.tar')), root);
        const ignore = (_: string, field: string) => field === 'mtimeNs';
        expect(diffTrees(describeTree(from), describeTree(root), { ignore })).toEqual([]);
        expect(describeTree(root).get('d/f')?.mtimeNs).toBe(1_234_567_890_000_000_000n);
        if (rich) expect(lstatSync(join(root, 'hole')).blocks * 512).toBeLessThan(100_000);
      }),
  );

  it('of several gzip members, or zstd frames, is one', () =>
    inFolder(async (root) => {
      const bytes = archive({ name: 'a', data: 'A' }, { name: 'b', data: 'B'.repeat(5000) });
      const packed = Buffer.concat([gzipSync(bytes.subarray(0, 700)), gzipSync(bytes.subarray(700))]);
      const target = folderFd(root);
      await applyLayer(pieces(packed, 100), 'gzip', target.fd);
      expect(readdirSync(root)).toEqual(['a', 'b']);
      const frames: Buffer[] = [];
      for (const part of [bytes.subarray(0, 700), bytes.subarray(700)]) {
        const stream = compress('zstd');
        stream.end(part);
        for await (const chunk of stream) frames.push(chunk as Buffer);
      }
      await applyLayer(pieces(Buffer.concat(frames), 100), 'zstd', target.fd);
      target.close();
      expect(readFileSync(join(root, 'b'), 'utf8')).toBe('B'.repeat(5000));
    }));
});

describe('an entry', () => {
  it('replaces an earlier one of its name, of whatever type', async () => {
    const tree = await treeOf(
      { name: 'a', data: 'file' },
      { name: 'a/', type: '5', mode: 0o700 },
      { name: 'a/below', data: 'x' },
      { name: 'b/', type: '5' },
      { name: 'b/deep/', type: '5' },
      { name: 'b/deep/f', data: 'x' },
      { name: 'b', type: '2', link: 'a' },
      { name: 'c', type: '2', link: 'a' },
      { name: 'c', data: 'now a file' },
      { name: 'd', data: 'one' },
      { name: 'd', data: 'other' },
    );
    expect([...tree.keys()]).toEqual(['.', 'a', 'a/below', 'b', 'c', 'd']);
    expect(tree.get('a')).toMatchObject({ type: 'directory', mode: 0o700 });
    expect(tree.get('b')).toMatchObject({ type: 'symlink', target: 'a' });
    expect(tree.get('c')).toMatchObject({ type: 'file', size: 10 });
    expect(tree.get('d')).toMatchObject({ type: 'file', size: 5 });
  });

  it('of a folder keeps what is in it, and its time though files follow', async () => {
    const tree = await treeOf(
      { name: 'd/', type: '5', mtime: 100 },
      { name: 'd/f', data: 'x' },
      { name: 'd/', type: '5', mtime: 200, mode: 0o711 },
      { name: 'd/g', data: 'y' },
      ...Array.from({ length: 100 }, (_, i): Made => ({ name: `other${i}/`, type: '5' })),
      { name: 'd/h', data: 'z' },
    );
    expect(tree.get('d')).toMatchObject({ mode: 0o711, mtimeNs: 200_000_000_000n });
    expect([...tree.keys()].filter((path) => path.startsWith('d/'))).toEqual(['d/f', 'd/g', 'd/h']);
  });

  it('lies in folders that nobody names, which are left to be settled', () =>
    inFolder(async (root) => {
      const { unsettled } = await apply(
        archive({ name: '/usr/lib/x' }, { name: './usr//share/', type: '5' }, { name: 'usr/lib/y/z/', type: '5' }),
        root,
      );
      expect(unsettled).toEqual({ folders: ['', 'usr', 'usr/lib', 'usr/lib/y'], links: [] });
      expect(describeTree(root).get('usr/lib')).toMatchObject({ mode: 0o755, mtimeNs: 0n });
    }));

  it('below a symbolic link of the same layer goes where the link leads', async () => {
    const tree = await treeOf(
      { name: 'lib', type: '2', link: 'usr/lib' },
      { name: 'lib/x', data: 'x' },
      { name: 'abs', type: '2', link: '/usr/../usr/lib' },
      { name: 'abs/y', data: 'y' },
    );
    expect([...tree.keys()]).toEqual(['.', 'abs', 'lib', 'usr', 'usr/lib', 'usr/lib/x', 'usr/lib/y']);
  });

  it('keeps its attributes: capabilities and set-user-id though the owner changes', async () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const tree = await treeOf({
      name: 'ping',
      data: 'x',
      mode: 0o4755,
      uid: 1000,
      gid: 1001,
      pax: {
        'SCHILY.xattr.security.capability': capability,
        mtime: '12.000000345',
        'SCHILY.xattr.user.b': Buffer.from([0, 0xff, 10]),
      },
    });
    expect(tree.get('ping')).toMatchObject({
      mode: 0o4755,
      uid: 1000,
      gid: 1001,
      mtimeNs: 12_000_000_345n,
      xattrs: { 'security.capability': capability.toString('latin1'), 'user.b': '\0\xff\n' },
    });
  });

  it('gets what global headers say, until they say otherwise', async () => {
    const global = (records: Record<string, string>): Made => ({ name: 'g', type: 'g', data: paxRecords(records) });
    const tree = await treeOf(
      global({ uid: '77', mtime: '5.5' }),
      { name: 'a', uid: 1 },
      { name: 'b', pax: { uid: '2' } },
      global({ uid: '' }),
      { name: 'c', uid: 3 },
    );
    expect(['a', 'b', 'c'].map((name) => tree.get(name)?.uid)).toEqual([77, 2, 3]);
    expect(tree.get('c')?.mtimeNs).toBe(5_500_000_000n);
  });

  it('of a device is counted where it cannot be made', () =>
    inFolder(async (root) => {
      const layer = archive({ name: 'null', type: '3', major: 1, minor: 3 }, { name: 'p', type: '6' });
      expect((await apply(layer, root, { devices: 'skip' })).skipped).toEqual({ devices: 1, xattrs: 0 });
      expect(readdirSync(root)).toEqual(['p']);
    }));
});

describe('a whiteout', () => {
  it('is what overlayfs takes for one', async () => {
    const tree = await treeOf(
      { name: 'd/', type: '5' },
      { name: 'd/.wh.gone' },
      { name: 'e/', type: '5' },
      { name: 'e/.wh..wh..opq' },
      { name: 'e/stays' },
      { name: '.wh..wh.aufs', data: 'x' },
      { name: '.wh..wh.plnk/1.2', data: 'x' },
    );
    expect([...tree.keys()]).toEqual(['.', 'd', 'd/gone', 'e', 'e/stays']);
    expect(tree.get('d/gone')).toMatchObject(WHITEOUT);
    expect(tree.get('e')?.xattrs).toEqual(OPAQUE);
  });

  it('hides what the layers below have, and not what its own layer has, in whatever order', async () => {
    const tree = await treeOf(
      { name: 'a', data: 'new' },
      { name: '.wh.a' },
      { name: '.wh.b' },
      { name: 'b', data: 'new' },
      { name: 'c/', type: '5' },
      { name: 'c/f' },
      { name: '.wh.c' },
      { name: '.wh.d' },
      { name: 'd/', type: '5' },
      { name: '.wh.e' },
      { name: 'e/f' },
    );
    expect(['a', 'b', 'c', 'd', 'e'].map((name) => tree.get(name)?.type)).toEqual([
      'file',
      'file',
      'directory',
      'directory',
      'directory',
    ]);
    for (const name of ['c', 'd', 'e']) expect(tree.get(name)?.xattrs).toEqual(OPAQUE);
  });

  it('has attributes of the kind that a user namespace may set, where they are asked for', () =>
    inFolder(async (root) => {
      await apply(archive({ name: 'd/', type: '5' }, { name: 'd/.wh..wh..opq' }), root, { overlay: 'user' });
      expect(describeTree(root).get('d')?.xattrs).toEqual({ 'user.overlay.opaque': 'y' });
    }));
});

describe('what is no layer', () => {
  const good = archive({ name: 'a', data: 'x'.repeat(2000) }, { name: 'b' });

  it.each<[string, Buffer, RegExp]>([
    ['nothing but garbage', Buffer.alloc(2048, 'garbage '), /checksum/],
    [
      'an archive cut within data',
      good.subarray(0, 1500),
      /^the layer is no tar archive that can be read: it ends within "a" \(at byte 1500\)$/,
    ],
    ['an archive cut within padding', good.subarray(0, 2513), /ends within the data of an entry/],
    ['an archive cut within a header', good.subarray(0, 2700), /ends within a header/],
    [
      'a header with one byte changed',
      Buffer.concat([good.subarray(0, 2560), Buffer.from('B'), good.subarray(2561)]),
      /checksum \(at byte 2560\)/,
    ],
    ['a block of zeros before more', Buffer.concat([Buffer.alloc(512), good]), /zeros/],
    ['an unknown type', archive({ name: 'v\x1b[2J', type: 'V' }), /"v\\x1b\[2J" has the unknown type "V"/],
    ['a size that is no number', archive({ name: 'a', raw: { 124: '99999999999' } }), /size is no octal number/],
    ['a size below zero', archive({ name: 'a', raw: { 124: Buffer.alloc(12, 0xff) } }), /impossible size/],
    ['an owner that would become another', archive({ name: 'a', pax: { uid: '4294967296' } }), /impossible owner/],
    ['an owner below zero', archive({ name: 'a', raw: { 108: Buffer.alloc(8, 0xff) } }), /impossible owner/],
    ['a name that is empty', archive({ name: '' }), /no name/],
    [
      'an extended header whose second record has no length',
      archive({ name: 'x', type: 'x', data: '13 mtime=1.5\n252SCHILY.xattr.user.a=b\n' }, { name: 'a' }),
      /malformed record/,
    ],
    [
      'an extended header that is malformed',
      archive({ name: 'x', type: 'x', data: '99 path=a\n' }, { name: 'a' }),
      /malformed record/,
    ],
    [
      'an extended header of 2 MiB',
      archive({ name: 'x', type: 'x', data: Buffer.alloc(2 << 20) }, { name: 'a' }),
      /longer than/,
    ],
    [
      'an extended header of nothing',
      Buffer.concat([entry({ name: 'x', type: 'x', data: paxRecords({ path: 'y' }) }), END]),
      /no entry/,
    ],
    ['a name with NUL', archive({ name: 'a', pax: { path: 'a\0b' } }), /NUL/],
    [
      'a map that leaves its file',
      archive({ name: 'a', data: 'xy', pax: { 'GNU.sparse.realsize': '10', 'GNU.sparse.map': '9,2' } }),
      /leaves the file/,
    ],
    [
      'a map that goes back',
      archive({ name: 'a', data: 'xy', pax: { 'GNU.sparse.realsize': '10', 'GNU.sparse.map': '5,1,4,1' } }),
      /out of order/,
    ],
    [
      'a map of more than there is',
      archive({ name: 'a', data: 'xy', pax: { 'GNU.sparse.realsize': '10', 'GNU.sparse.map': '0,9' } }),
      /does not fit/,
    ],
    ['a hard link to nothing', archive({ name: 'a', type: '1' }), /hard link to nothing/],
    [
      'a hard link to a folder',
      archive({ name: 'd/', type: '5' }, { name: 'a', type: '1', link: 'd' }),
      /hard link to a folder/,
    ],
    ['a hard link to itself', archive({ name: 'a', type: '1', link: './a' }), /hard link to itself/],
    [
      'a hard link to what lies in the folder that it replaces',
      archive({ name: 'a/b' }, { name: 'a', type: '1', link: 'a/b' }),
      /in the folder that it replaces/,
    ],
    ['a symbolic link to nothing', archive({ name: 'a', type: '2' }), /symbolic link to nothing/],
    ['a file that lies below a file', archive({ name: 'a' }, { name: 'a/b' }), /no folder/],
    ['a device that is a whiteout', archive({ name: 'a', type: '3' }), /0:0/],
    ['a root that is a file', archive({ name: './', type: '0', data: 'x' }), /root/],
  ])('is refused: %s', (_, layer, message) =>
    inFolder(async (root) => {
      expect(await refusal(layer, root)).toMatchObject({ code: 'protocol', message: expect.stringMatching(message) });
    }),
  );

  it.each(['gzip', 'zstd'] as const)('is refused: what is no %s, or ends early', (kind) =>
    inFolder(async (root) => {
      const stream = compress(kind);
      stream.end(good);
      const parts: Buffer[] = [];
      for await (const chunk of stream) parts.push(chunk as Buffer);
      const packed = Buffer.concat(parts);
      const target = folderFd(root);
      try {
        for (const bytes of [good, packed.subarray(0, -9)])
          expect(await failureOf(applyLayer(pieces(bytes), kind, target.fd))).toMatchObject({
            code: 'protocol',
            message: expect.stringContaining(`no ${kind} stream`),
          });
      } finally {
        target.close();
      }
    }),
  );

  it('is what its source says: its error comes through', () =>
    inFolder(async (root) => {
      const target = folderFd(root);
      async function* broken() {
        yield gzipSync(good).subarray(0, 20);
        throw new Error('the line is cut');
      }
      try {
        await expect(applyLayer(broken(), 'gzip', target.fd)).rejects.toThrow('the line is cut');
        const controller = new AbortController();
        controller.abort();
        await expect(applyLayer(pieces(good), 'none', target.fd, { signal: controller.signal })).rejects.toThrow(
          /abort/,
        );
      } finally {
        target.close();
      }
    }));

  it('finds no room on a full disk, and says for what', () =>
    inFolder(async (root, folder) => {
      writeFileSync(join(folder, 'a.tar'), archive({ name: 'big', data: Buffer.alloc(3 << 20) }));
      chmodSync(root, 0o700);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', root]);
      try {
        expect(await refusal(readFileSync(join(folder, 'a.tar')), root)).toMatchObject({
          code: 'no-space',
          message: expect.stringContaining('"big"'),
        });
      } finally {
        execFileSync('umount', ['-l', root]);
      }
    }));
});
