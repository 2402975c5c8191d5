/** What the tests of layers share: archives made by hand, applied into folders of their own, and what is in these then. */
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type AppliedLayer, type ApplyOptions, applyLayer } from '../../../runtime/image/layer/index.js';
import { native } from '../../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../../runtime/kernel/constants/open.js';
import { TareError } from '../../../runtime/kernel/error.js';
import { OwnedFd } from '../../../runtime/kernel/fd.js';

/** A header of ustar as it must be, but for what the test wants otherwise. */
export interface Made {
  readonly name: string | Buffer;
  readonly type?: string;
  readonly link?: string | Buffer;
  readonly data?: string | Buffer;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly size?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Records of a PAX header before it. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
  /** Bytes put over the header before it is summed. */
  readonly raw?: Readonly<Record<number, string | Buffer>>;
  readonly magic?: string;
}

export const END = Buffer.alloc(1024);

/** An archive of these entries, with its end. */
export function archive(...entries: readonly Made[]): Buffer {
  return Buffer.concat([...entries.map(entry), END]);
}

export function entry(made: Made): Buffer {
  const data = Buffer.from(made.data ?? '');
  const parts = [header(made, data.length), data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  if (made.pax) parts.unshift(entry({ name: 'pax', type: 'x', data: paxRecords(made.pax) }));
  return Buffer.concat(parts);
}

export function paxRecords(records: Readonly<Record<string, string | Buffer>>): Buffer {
  return Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

function header(made: Made, size: number): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  Buffer.from(made.name).copy(block, 0, 0, 100);
  octal(made.mode ?? (made.type === '5' ? 0o755 : 0o644), 100, 8);
  octal(made.uid ?? 0, 108, 8);
  octal(made.gid ?? 0, 116, 8);
  octal(made.size ?? size, 124, 12);
  octal(made.mtime ?? 1_600_000_000, 136, 12);
  block.write(made.type ?? '0', 156, 'latin1');
  Buffer.from(made.link ?? '').copy(block, 157, 0, 100);
  block.write(made.magic ?? 'ustar\x0000', 257, 'latin1');
  octal(made.major ?? 0, 329, 8);
  octal(made.minor ?? 0, 337, 8);
  for (const [at, bytes] of Object.entries(made.raw ?? {})) Buffer.from(bytes).copy(block, Number(at));
  block.fill(' ', 148, 156);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}

/** In pieces, as a network has them. */
export async function* pieces(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A folder `root` for the layer, in one of the test's own, which is removed. */
export async function inFolder<T>(act: (root: string, folder: string) => T | Promise<T>, under = tmpdir()): Promise<T> {
  const folder = realpathSync(mkdtempSync(join(under, 'tare-layer-')));
  try {
    mkdirSync(join(folder, 'root'));
    return await act(join(folder, 'root'), folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function folderFd(path: string): OwnedFd {
  return new OwnedFd(native.open(path, O_PATH | O_DIRECTORY));
}

export async function apply(layer: Uint8Array, root: string, options: ApplyOptions = {}): Promise<AppliedLayer> {
  using target = folderFd(root);
  return await applyLayer(pieces(layer), 'none', target.fd, options);
}

/** The TareError by which it is refused. */
export async function refusal(layer: Uint8Array, root: string, options: ApplyOptions = {}): Promise<TareError> {
  return failureOf(apply(layer, root, options));
}

export async function failureOf(promise: Promise<unknown>): Promise<TareError> {
  const before = readdirSync('/proc/self/fd').length;
  try {
    await promise;
  } catch (error) {
    if (error instanceof TareError) return error;
    throw error;
  } finally {
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
  }
  throw new Error('nothing was refused');
}
