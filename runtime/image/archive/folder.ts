/**
 * A layout that is a folder. Its files are opened below it, wherever its symbolic links point (openat2(2), RESOLVE_IN_ROOT), and only files are
 * read: a pipe or a device with the name of a blob would keep us waiting. Blobs are copied, and checked on the way.
 */
import { createReadStream, fstatSync, readFileSync } from 'node:fs';
import { native } from '../../kernel/addon.js';
import { O_DIRECTORY, O_NONBLOCK, O_RDONLY, RESOLVE_IN_ROOT } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { type Descriptor, splitDigest } from '../../oci/image/index.js';
import type { Lease } from '../types.js';
import type { ArchiveStore, ReadOptions } from './contents.js';

export class LayoutFolder implements Disposable {
  readonly #folder: OwnedFd;

  constructor(path: string) {
    this.#folder = new OwnedFd(native.open(path, O_RDONLY | O_DIRECTORY));
  }

  /** A small file; undefined when there is none. @throws TareError `protocol` */
  document(name: string, maxBytes: number): Buffer | undefined {
    using file = this.#open(name);
    if (!file) return undefined;
    if (fstatSync(file.fd).size > maxBytes)
      throw new TareError('protocol', `${name} of the layout has more than ${maxBytes} bytes`);
    return readFileSync(file.fd);
  }

  /** Copies a blob into the store. False when there is none. @throws TareError `protocol` when it is not what its descriptor says */
  async bring(
    descriptor: Descriptor,
    { content }: ArchiveStore,
    lease: Lease,
    { onProgress, signal }: ReadOptions,
  ): Promise<boolean> {
    const { digest, size } = descriptor;
    const { algorithm, hex } = splitDigest(digest);
    using file = this.#open(`blobs/${algorithm}/${hex}`);
    await using ingest = await content.ingest({ digest, size }, lease, signal);
    if (!ingest) return true;
    if (!file) return false;
    if (ingest.offset > 0) await ingest.restart();
    const id = hex.slice(0, 12);
    let current = 0;
    for await (const chunk of createReadStream('', {
      fd: file.fd,
      autoClose: false,
      start: 0,
      highWaterMark: 1 << 20,
    })) {
      signal?.throwIfAborted();
      await ingest.write(chunk);
      current += chunk.length;
      onProgress?.({ id, action: 'unpacking', current, total: size });
    }
    await ingest.commit();
    onProgress?.({ id, action: 'done', current, total: size });
    return true;
  }

  [Symbol.dispose](): void {
    this.#folder.close();
  }

  #open(name: string): OwnedFd | undefined {
    try {
      const file = new OwnedFd(native.openat2(this.#folder.fd, name, O_RDONLY | O_NONBLOCK, 0, RESOLVE_IN_ROOT));
      if (fstatSync(file.fd).isFile()) return file;
      file.close();
      throw new TareError('protocol', `${name} of the layout is no file`);
    } catch (error) {
      const errno = error instanceof TareError ? error.syscall?.errno : undefined;
      if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
      throw error;
    }
  }
}
