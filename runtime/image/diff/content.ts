/**
 * What a regular file holds: read in large pieces, its holes left out. A file that changes while it is read would make a layer that no tree ever was, and
 * whose header lies, so that is an error. lseek(2), SEEK_DATA and SEEK_HOLE
 */
import { read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { native } from '../../kernel/addon.js';
import { SEEK_DATA, SEEK_HOLE } from '../../kernel/constants/files.js';
import { TareError } from '../../kernel/error.js';
import type { Extent } from '../layer/index.js';
import type { Node } from './node.js';

const CHUNK = 256 * 1024;
/** A file of no more is read by this thread: another one would be woken up for longer than that takes. */
const SMALL = 64 * 1024;
/** A file of more parts is written with its holes: its map would be longer than what it saves. */
const MAX_EXTENTS = 10_000;
const readAt = promisify(read);

/** Where the file has data; undefined when it has no holes. */
export function extentsOf(node: Node): readonly Extent[] | undefined {
  const { size, blocks } = node.status;
  // One that has all its blocks has no holes, and needs not be looked through.
  if (size === 0 || blocks * 512 >= size) return undefined;
  using file = node.open();
  const extents: Extent[] = [];
  for (let at = 0; at < size; ) {
    const start = native.lseek(file.fd, at, SEEK_DATA);
    if (start < 0 || start >= size) break;
    const end = Math.min(native.lseek(file.fd, start, SEEK_HOLE), size);
    extents.push({ offset: start, size: end - start });
    if (extents.length > MAX_EXTENTS) return undefined;
    at = end;
  }
  const last = extents.at(-1);
  if (last?.offset === 0 && last.size === size) return undefined;
  // GNU tar gives a file the size up to which its map goes.
  if (!last || last.offset + last.size < size) extents.push({ offset: size, size: 0 });
  return extents;
}

/** The bytes of these parts, or of the whole file. @throws TareError `state` when it got shorter meanwhile */
export async function* chunksOf(node: Node, extents?: readonly Extent[]): AsyncGenerator<Buffer, void, void> {
  using file = node.open();
  const isSmall = node.status.size <= SMALL;
  for (const { offset, size } of extents ?? [{ offset: 0, size: node.status.size }]) {
    for (let done = 0; done < size; ) {
      const want = Math.min(CHUNK, size - done);
      const buffer = Buffer.allocUnsafe(want);
      const bytesRead = isSmall
        ? readSync(file.fd, buffer, 0, want, offset + done)
        : (await readAt(file.fd, buffer, 0, want, offset + done)).bytesRead;
      if (bytesRead === 0) throw new TareError('state', 'a file got shorter while it was read');
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }
}

/** Whether two files of the same size hold the same. */
export async function sameContent(a: Node, b: Node): Promise<boolean> {
  if (a.is(b)) return true;
  using first = a.open();
  using second = b.open();
  const [one, other] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
  for (let at = 0; at < a.status.size; ) {
    const [{ bytesRead: got }, { bytesRead: more }] = await Promise.all([
      readAt(first.fd, one, 0, CHUNK, at),
      readAt(second.fd, other, 0, CHUNK, at),
    ]);
    if (got === 0 || got !== more || one.compare(other, 0, got, 0, got) !== 0) return false;
    at += got;
  }
  return true;
}
