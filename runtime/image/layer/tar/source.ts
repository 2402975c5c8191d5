/**
 * A stream that is read by number of bytes. What lies in one chunk is given as a view of it, not copied; so a large file passes through
 * untouched.
 */
import { malformed } from './bytes.js';

export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #start = 0;
  #position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** How many bytes have been read. */
  get position(): number {
    return this.#position;
  }

  /** Some bytes, at most `max`; none at the end of the stream. */
  async some(max: number): Promise<Buffer | undefined> {
    if (this.#start === this.#chunk.length && !(await this.#next())) return undefined;
    return this.#take(Math.min(max, this.#chunk.length - this.#start));
  }

  /** As many as asked for, or none at the end of the stream. @throws TareError `protocol` when it ends within them */
  async exactlyOrEnd(size: number, what: string): Promise<Buffer | undefined> {
    if (this.#chunk.length - this.#start >= size) return this.#take(size);
    const parts: Buffer[] = [];
    let missing = size;
    while (missing > 0) {
      const part = await this.some(missing);
      if (!part) break;
      parts.push(part);
      missing -= part.length;
    }
    if (missing === size && size > 0) return undefined;
    if (missing > 0) throw malformed(this.#position, `it ends within ${what}`);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** As many as asked for. @throws TareError `protocol` when there are not as many */
  async exactly(size: number, what: string): Promise<Buffer> {
    const bytes = await this.exactlyOrEnd(size, what);
    if (!bytes) throw malformed(this.#position, `it ends before ${what}`);
    return bytes;
  }

  /** @throws TareError `protocol` when there are not as many */
  async skip(size: number, what: string): Promise<void> {
    for (let left = size; left > 0; ) {
      const part = await this.some(left);
      if (!part) throw malformed(this.#position, `it ends within ${what}`);
      left -= part.length;
    }
  }

  /** Reads to the end of the stream. */
  async drain(): Promise<void> {
    while (await this.some(Number.MAX_SAFE_INTEGER));
  }

  /** No more will be read: lets the source go, as leaving a loop over it would. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #next(): Promise<boolean> {
    do {
      const { done, value } = await this.#source.next();
      if (done) return false;
      this.#chunk = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      this.#start = 0;
    } while (this.#chunk.length === 0);
    return true;
  }

  #take(size: number): Buffer {
    const bytes = this.#chunk.subarray(this.#start, this.#start + size);
    this.#start += size;
    this.#position += size;
    return bytes;
  }
}
