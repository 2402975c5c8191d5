/** Archives that are written: what they say is read back by Tare, by GNU tar and by Python, and the same entries give the same bytes. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type NewEntry,
  type TarContent,
  type TarEntry,
  TarWriter,
  tarEntries,
} from '../../../runtime/image/layer/index.js';
import { inFolder, pieces } from './support.js';

type Added = readonly [NewEntry, TarContent?];

async function write(...entries: readonly Added[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  const writer = new TarWriter((bytes) => {
    parts.push(Buffer.from(bytes));
  });
  for (const [entry, content] of entries) await writer.add(entry, content);
  await writer.finish();
  return Buffer.concat(parts);
}

type Read = Omit<TarEntry, 'at' | 'chunks'> & { readonly data: string };

async function read(archive: Buffer, piece = archive.length): Promise<Read[]> {
  const found: Read[] = [];
  for await (const { at: _, chunks, ...entry } of tarEntries(pieces(archive, piece))) {
    const parts: Buffer[] = [];
    for await (const chunk of chunks()) parts.push(Buffer.from(chunk));
    found.push({ ...entry, data: Buffer.concat(parts).toString('latin1') });
  }
  return found;
}

const file = (name: string | Buffer, more: Partial<NewEntry> = {}): NewEntry => ({
  type: 'file',
  name: Buffer.from(name),
  mode: 0o644,
  ...more,
});

const STRANGE: readonly Added[] = [
  [{ type: 'directory', name: Buffer.from('folder'), mode: 0o1777, mtimeNs: 5_000_000_000n }],
  [file('folder/small', { size: 5, uid: 7, gid: 8, mtimeNs: 1_700_000_000_123_456_000n }), Buffer.from('hello')],
  [file(`${'p'.repeat(90)}/${'n'.repeat(90)}`)],
  [file('x'.repeat(300))],
  [file(`${'d'.repeat(200)}/${'n'.repeat(99)}`)],
  [file(Buffer.from([0x61, 0xff, 0x0a, 0x62]))],
  [file('unicode-ü-名')],
  [file('ids', { uid: 4_000_000_000, gid: 2_097_152 })],
  [file('before 1970', { mtimeNs: -1n })],
  [file('far', { mtimeNs: 9_000_000_000_000_000_000n, atimeNs: 1n })],
  [
    file('attributes', {
      xattrs: [
        { name: Buffer.from('user.a=b%'), value: Buffer.from([1, 0, 2]) },
        {
          name: Buffer.from('security.capability'),
          value: Buffer.from('0100000200200000000000000000000000000000', 'hex'),
        },
      ],
    }),
  ],
  [{ type: 'symlink', name: Buffer.from('s'), linkName: Buffer.from('t'.repeat(200)), mode: 0o777 }],
  [{ type: 'link', name: Buffer.from('l'), linkName: Buffer.from('folder/small'), mode: 0o644 }],
  [{ type: 'character', name: Buffer.from('c'), mode: 0o600, major: 1, minor: 3 }],
  [{ type: 'block', name: Buffer.from('b'), mode: 0o600, major: 259, minor: 1_048_575 }],
  [{ type: 'fifo', name: Buffer.from('f'), mode: 0o600 }],
  [
    file('sparse', {
      size: 1 << 20,
      sparse: [
        { offset: 4096, size: 3 },
        { offset: 8192, size: 2 },
      ],
    }),
    Buffer.from('abcde'),
  ],
  [file('large', { size: 300_000 }), [Buffer.alloc(100_000, 'x'), Buffer.alloc(200_000, 'y')]],
];

describe('an archive that is written', () => {
  it.each([1, 511, 1 << 20])('says what it was told, read in pieces of %i bytes', async (piece) => {
    const some = piece === 1 ? STRANGE.slice(0, -1) : STRANGE;
    const back = await read(await write(...some), piece);
    expect(back).toHaveLength(some.length);
    for (const [i, [entry, content]] of some.entries()) {
      const { name, ...rest } = entry;
      const { data, stored, ...found } = back[i] as Read;
      expect(found).toMatchObject({
        ...rest,
        name: entry.type === 'directory' ? Buffer.concat([name, Buffer.from('/')]) : name,
      });
      const bytes =
        content instanceof Uint8Array ? content : Buffer.concat((content as Uint8Array[] | undefined) ?? []);
      expect(data).toBe(Buffer.from(bytes).toString('latin1'));
      expect(stored).toBe(bytes.length);
    }
  });

  it('is the same, byte by byte, whoever writes it and when', async () => {
    expect((await write(...STRANGE)).equals(await write(...STRANGE))).toBe(true);
  });

  it('is read by GNU tar and by Python', () =>
    inFolder(async (_, folder) => {
      const path = join(folder, 'a.tar');
      writeFileSync(path, await write(...STRANGE));
      const gnu = execFileSync('tar', ['--numeric-owner', '--full-time', '--utc', '-tvf', path], {
        encoding: 'latin1',
        env: { LC_ALL: 'C', PATH: process.env.PATH },
      });
      expect(gnu.trimEnd().split('\n')).toHaveLength(STRANGE.length);
      expect(gnu).toMatch(/^-rw-r--r-- 7\/8 +5 2023-11-14 22:13:20.123456 folder\/small$/m);
      expect(gnu).toMatch(/^-rw-r--r-- 0\/0 +1048576 .* sparse$/m);
      expect(gnu).toMatch(/^brw------- 0\/0 +259,1048575 .* b$/m);
      const python = execFileSync(
        'python3',
        [
          '-c',
          'import sys,tarfile\nfor m in tarfile.open(sys.argv[1], errors="surrogateescape"): print(len(m.name), m.type.decode(), m.size, m.uid, m.mtime)',
          path,
        ],
        { encoding: 'utf8' },
      );
      const lines = python.trimEnd().split('\n');
      expect(lines).toHaveLength(STRANGE.length);
      expect(lines[7]).toBe('3 0 0 4000000000 0');
      expect(lines[8]).toMatch(/^11 0 0 0 -1e-09$/);
    }));

  it('puts a name of two parts where readers of ustar alone find it', async () => {
    const bytes = await write([file(`${'p'.repeat(90)}/${'n'.repeat(90)}`)]);
    expect(bytes).toHaveLength(512 + 1024);
    expect(bytes.subarray(345, 435).toString()).toBe('p'.repeat(90));
  });

  it('cannot be given more, or fewer, bytes than it was told', async () => {
    const sink = () => undefined;
    await expect(new TarWriter(sink).add(file('f', { size: 3 }), Buffer.from('four'))).rejects.toMatchObject({
      code: 'internal',
    });
    await expect(new TarWriter(sink).add(file('f', { size: 3 }), Buffer.from('tw'))).rejects.toMatchObject({
      code: 'internal',
    });
    await expect(new TarWriter(sink).add(file('a\0b'))).rejects.toMatchObject({ code: 'usage' });
    await expect(new TarWriter(sink).add(file(''))).rejects.toMatchObject({ code: 'usage' });
    const writer = new TarWriter(sink);
    await writer.finish();
    await expect(writer.add(file('f'))).rejects.toMatchObject({ code: 'internal' });
  });
});
