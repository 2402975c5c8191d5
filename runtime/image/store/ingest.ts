/**
 * A blob that is being written: a file of `ingest/`, locked by who writes it, hashed while it is written, synced to the disk and then renamed to where it is
 * found. What has a digest from the start stays when it is interrupted, and is gone on with; it is hashed again then, since a crash may have
 * lost what the kernel had not written yet. rename(2), fsync(2)
 */
import type { Hash } from 'node:crypto';
import { fstatSync, fsync, ftruncateSync, read, rmSync, statSync, write } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { native } from '../../kernel/addon.js';
import { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_RDWR } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { makeFolders } from '../../kernel/files.js';
import { tryLock } from '../../kernel/lock.js';
import { type Descriptor, type Digest, hashFor, splitDigest } from '../../oci/image/index.js';
import type { Ingest } from '../types.js';
import { isNoSpace, storeFailure } from './failures.js';

export interface PartialOptions {
  /** The file of `ingest/`. */
  readonly path: string;
  /** What it must become; without it, it gets the digest that it has. */
  readonly expected?: Pick<Descriptor, 'digest' | 'size'>;
  /** Where a blob of this digest lies. */
  readonly place: (digest: Digest) => string;
  /** Called before it becomes visible: whoever keeps it from being collected does so now. */
  readonly onDigest?: (digest: Digest) => void;
}

/** Opens the file and takes its lock. @returns undefined when another has it */
export function tryOpenPartial(path: string): OwnedFd | undefined {
  const file = new OwnedFd(native.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600));
  try {
    // Who had the lock before may have renamed or removed the file: then this is none that anybody finds.
    if (tryLock(file.fd) && isStill(file.fd, path)) return file;
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return undefined;
}

export class PartialBlob implements Ingest {
  readonly #file: OwnedFd;
  readonly #options: PartialOptions;
  #hash: Hash;
  #offset = 0;
  /** What is under way: the descriptor is not closed before it is done. */
  #pending: Promise<unknown> = Promise.resolve();
  #isDropped = false;

  private constructor(file: OwnedFd, options: PartialOptions) {
    this.#file = file;
    this.#options = options;
    this.#hash = hashFor(options.expected?.digest);
  }

  /** Takes over the open, locked file, and hashes what is there. */
  static async of(file: OwnedFd, options: PartialOptions, signal?: AbortSignal): Promise<PartialBlob> {
    const partial = new PartialBlob(file, options);
    try {
      await partial.#rehash(signal);
      return partial;
    } catch (error) {
      await partial[Symbol.asyncDispose]();
      throw error;
    }
  }

  get offset(): number {
    return this.#offset;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const { expected } = this.#options;
    if (expected && this.#offset + chunk.length > expected.size) {
      this.#drop();
      throw new TareError(
        'protocol',
        `${expected.digest} is longer than the ${expected.size} bytes that it was said to have`,
      );
    }
    const written = this.#do(() => writeAll(this.#file.fd, chunk, this.#offset));
    // While the kernel copies it.
    this.#hash.update(chunk);
    await written;
    this.#offset += chunk.length;
  }

  async restart(): Promise<void> {
    await this.#do(async () => ftruncateSync(this.#file.fd, 0));
    this.#hash = hashFor(this.#options.expected?.digest);
    this.#offset = 0;
  }

  async commit(): Promise<{ readonly digest: Digest; readonly size: number }> {
    const { expected, path, place, onDigest } = this.#options;
    const size = this.#offset;
    const algorithm = expected ? splitDigest(expected.digest).algorithm : 'sha256';
    const digest = `${algorithm}:${this.#hash.digest('hex')}` as Digest;
    if (expected && (size !== expected.size || digest !== expected.digest)) {
      this.#drop();
      const found =
        size === expected.size ? `its content is ${digest}` : `it has ${size} bytes and not ${expected.size}`;
      throw new TareError('protocol', `${expected.digest} is refused: ${found}`, { path: expected.digest });
    }
    const target = place(digest);
    onDigest?.(digest);
    await this.#do(async () => {
      await promisify(fsync)(this.#file.fd);
      makeFolders(dirname(target));
      await rename(path, target);
      await syncFolder(dirname(target));
    });
    this.#isDropped = true;
    this.#file.close();
    return { digest, size };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pending;
    if (!this.#file.isOpen) return;
    // What has no digest yet nobody can find again.
    if (!this.#options.expected || this.#offset === 0) this.#drop();
    this.#file.close();
  }

  /** One thing at a time; a full disk drops what is there, since it is in the way then. */
  async #do(work: () => Promise<void>): Promise<void> {
    const doing = this.#pending.then(work);
    this.#pending = doing.catch(() => undefined);
    try {
      await doing;
    } catch (error) {
      const failure = storeFailure(error, `${this.#options.path} cannot be written`);
      if (isNoSpace(failure)) this.#drop();
      throw failure;
    }
  }

  /** With the lock: nobody else can have begun to write it. */
  #drop(): void {
    if (!this.#isDropped) rmSync(this.#options.path, { force: true });
    this.#isDropped = true;
  }

  async #rehash(signal: AbortSignal | undefined): Promise<void> {
    const { expected } = this.#options;
    const there = fstatSync(this.#file.fd).size;
    if (!expected || there > expected.size) return await this.restart();
    const chunk = Buffer.allocUnsafe(CHUNK);
    while (this.#offset < there) {
      signal?.throwIfAborted();
      const { bytesRead } = await readAt(this.#file.fd, chunk, 0, CHUNK, this.#offset);
      if (bytesRead === 0) break;
      this.#hash.update(chunk.subarray(0, bytesRead));
      this.#offset += bytesRead;
    }
  }
}

const CHUNK = 1 << 20;
const readAt = promisify(read);
const writeAt = promisify(write);

async function writeAll(fd: number, data: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await writeAt(fd, data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}

async function syncFolder(path: string): Promise<void> {
  using folder = new OwnedFd(native.open(path, O_RDONLY | O_DIRECTORY));
  await promisify(fsync)(folder.fd);
}

function isStill(fd: number, path: string): boolean {
  const [open, named] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })];
  return named !== undefined && named.ino === open.ino && named.dev === open.dev;
}
