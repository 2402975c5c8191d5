/**
 * Writes what archives of images are made of: plain files under short names, always with the same owner, mode and time, so that the same images
 * make the same archive, byte for byte. pax(1), "ustar Interchange Format"
 */
import { TareError } from '../../kernel/error.js';

const BLOCK = 512;
const MAX_NAME = 100;
/** What eleven octal digits hold; above, the size is in binary (GNU tar, and so all readers). */
const MAX_OCTAL_SIZE = 0o77777777777;

/** Takes bytes; resolves when it can take more. */
export type Sink = (chunk: Uint8Array) => Promise<void>;

/** A file of the archive. Its content must have just so many bytes. @throws TareError `internal` when it has not */
export async function writeFile(
  sink: Sink,
  name: string,
  size: number,
  content: AsyncIterable<Uint8Array> | Uint8Array,
): Promise<void> {
  await sink(header({ name, size, type: '0', mode: 0o644 }));
  let written = 0;
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    written += chunk.length;
    if (written > size) break;
    await sink(chunk);
  }
  if (written !== size) throw new TareError('internal', `${name} has not the ${size} bytes that were announced`);
  await sink(padding(size));
}

export function writeFolder(sink: Sink, name: string): Promise<void> {
  return sink(header({ name: `${name}/`, size: 0, type: '5', mode: 0o755 }));
}

/** The two blocks of zeros. */
export function writeEnd(sink: Sink): Promise<void> {
  return sink(new Uint8Array(2 * BLOCK));
}

/** What fills the last block of a file. */
export function padding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

export interface PlainHeader {
  /** At most 100 bytes. */
  readonly name: string;
  readonly size: number;
  /** `0` a file, `2` a symbolic link, `5` a folder. */
  readonly type: '0' | '2' | '5';
  readonly mode: number;
  /** Seconds since 1970; 0 unless told. */
  readonly mtime?: number;
  readonly target?: string;
}

/** Of what belongs to root. */
export function header({ name, size, type, mode, mtime = 0, target = '' }: PlainHeader): Buffer {
  if (Math.max(Buffer.byteLength(name), Buffer.byteLength(target)) > MAX_NAME)
    throw new TareError('internal', `${name} is too long for a header`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  block.write(name);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  if (size <= MAX_OCTAL_SIZE) {
    octal(size, 124, 12);
  } else {
    block.writeUInt8(0x80, 124);
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  octal(mtime, 136, 12);
  block.write(type, 156);
  block.write(target, 157);
  block.write('ustar\x0000', 257, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
