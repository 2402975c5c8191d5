/** What writes to somebody, as something that is read: no more is written than is read, but for one chunk. Small pieces are gathered. */
import type { TarSink } from '../layer/index.js';

const CHUNK = 64 * 1024;

/** @throws what `write` throws */
export async function* pulled(write: (sink: TarSink) => Promise<void>): AsyncGenerator<Uint8Array, void, void> {
  const channel = new Channel();
  const writing = write((bytes) => channel.put(bytes)).then(
    () => channel.end(),
    (error: unknown) => channel.fail(error),
  );
  try {
    for (let chunk = await channel.take(); chunk; chunk = await channel.take()) yield chunk;
  } finally {
    // Who reads no more: the writer's next call fails, and it lets go of what it has open.
    channel.close();
    await writing;
  }
}

class Channel {
  #parts: Uint8Array[] = [];
  #size = 0;
  #over = false;
  #closed = false;
  #error: unknown;
  #wake: (() => void) | undefined;
  #resume: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  put(bytes: Uint8Array): void | Promise<void> {
    if (this.#closed) throw new Closed();
    this.#parts.push(bytes);
    this.#size += bytes.length;
    if (this.#size < CHUNK) return undefined;
    this.#wake?.();
    return new Promise((resolve, reject) => {
      this.#resume = { resolve, reject };
    });
  }

  /** undefined at the end. */
  async take(): Promise<Uint8Array | undefined> {
    while (this.#size < CHUNK && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#size === 0) return undefined;
    const chunk = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    this.#resume?.resolve();
    this.#resume = undefined;
    return chunk;
  }

  end(): void {
    this.#over = true;
    this.#wake?.();
  }

  fail(error: unknown): void {
    if (!(error instanceof Closed)) this.#error = error;
    this.end();
  }

  close(): void {
    this.#closed = true;
    this.#resume?.reject(new Closed());
    this.#resume = undefined;
  }
}

/** Nobody reads any more. */
class Closed extends Error {}
