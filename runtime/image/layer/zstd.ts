/** zstd as a stream of Node's: Node 20 has none. Each step runs in the thread pool; none is begun while nobody reads. RFC 8878 */
import { Transform, type TransformCallback } from 'node:stream';
import { native } from '../../kernel/addon.js';
import type { ZstdStream } from '../../kernel/zstd.js';

const CHUNK = 1 << 20;
/** The greatest window that `zstd -d` takes too: 128 MiB. What levels up to 19 write needs 8. */
const MAX_WINDOW_LOG = 27;

export function zstdTransform(direction: 'decompress'): Transform;
export function zstdTransform(direction: 'compress', level: number): Transform;
export function zstdTransform(direction: 'compress' | 'decompress', level = 3): Transform {
  return direction === 'compress'
    ? new ZstdTransform(native.zstdCompressor(level), true)
    : new ZstdTransform(native.zstdDecompressor(MAX_WINDOW_LOG), false);
}

class ZstdTransform extends Transform {
  readonly #zstd: ZstdStream;
  readonly #compresses: boolean;
  /** Whether the last frame is whole. */
  #whole = true;
  #resume: (() => void) | undefined;

  constructor(zstd: ZstdStream, compresses: boolean) {
    super();
    this.#zstd = zstd;
    this.#compresses = compresses;
  }

  override _transform(chunk: Uint8Array, _encoding: string, done: TransformCallback): void {
    this.#run(chunk, false).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    const last = this.#compresses ? this.#run(new Uint8Array(0), true) : Promise.resolve();
    last.then(() => done(this.#whole ? null : new Error('it ends within a frame')), done);
  }

  /** Transform would call for more input only; what waits is output of the input that is there. */
  override _read(size: number): void {
    const resume = this.#resume;
    this.#resume = undefined;
    if (resume) resume();
    else super._read(size);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#resume?.();
    super._destroy(error, done);
  }

  async #run(input: Uint8Array, end: boolean): Promise<void> {
    for (let rest = input; ; ) {
      if (this.destroyed) return;
      const output = Buffer.allocUnsafeSlow(CHUNK);
      const { consumed, produced, left } = await this.#zstd.step(rest, output, end);
      rest = rest.subarray(consumed);
      this.#whole = this.#compresses || left === 0;
      // Where nothing is missing from the output there may be more of it.
      const full = produced === output.length;
      if (produced > 0 && !this.push(fitted(output, produced)) && (full || rest.length > 0)) await this.#wanted();
      if (rest.length === 0 && !full && (!end || left === 0)) return;
    }
  }

  #wanted(): Promise<void> {
    if (this.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }
}

/** Small pieces do not keep large memory. */
function fitted(output: Buffer, produced: number): Buffer {
  return produced > output.length / 4 ? output.subarray(0, produced) : Buffer.from(output.subarray(0, produced));
}
