/** What ADD downloads: each address once a build, into a folder that goes with the build, and known by what came. */
import { join } from 'node:path';
import type { ImageStore, Scratch } from '../store/index.js';
import type { CopyItem, Download } from './copy/index.js';
import type { Keyed } from './key.js';

export class Downloads implements AsyncDisposable {
  readonly #store: ImageStore;
  readonly #signal: AbortSignal;
  readonly #done = new Map<string, Promise<Download & { readonly path: string }>>();
  #scratch: Promise<Scratch> | undefined;

  constructor(store: ImageStore, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  /** Downloads it. @throws TareError */
  async key(address: string, checksum: string | undefined): Promise<Keyed> {
    const { digest, name, mtimeNs } = await this.#get(address, checksum);
    return { digest, name, time: String(mtimeNs) };
  }

  /** What has been downloaded. */
  async item(address: string, checksum: string | undefined): Promise<CopyItem> {
    const { name, path, mtimeNs } = await this.#get(address, checksum);
    return { kind: 'download', name, path, ...(mtimeNs !== undefined && { mtimeNs }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#scratch)?.[Symbol.asyncDispose]();
  }

  #get(address: string, checksum: string | undefined): Promise<Download & { readonly path: string }> {
    const known = this.#done.get(`${address} ${checksum}`);
    if (known) return known;
    const count = this.#done.size;
    const begun = this.#download(address, checksum, count);
    this.#done.set(`${address} ${checksum}`, begun);
    return begun;
  }

  async #download(address: string, checksum: string | undefined, count: number) {
    this.#scratch ??= this.#store.scratch();
    const path = join((await this.#scratch).path, String(count));
    // Loaded only when it is needed: HTTP and TLS are much to load.
    const { download } = await import('./copy/index.js');
    const got = await download(address, path, { ...(checksum !== undefined && { checksum }), signal: this.#signal });
    return { ...got, path };
  }
}

/** Whether a source of ADD is to be downloaded. */
export function isAddress(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

export function isGit(source: string): boolean {
  return /^(?:git@|git:\/\/|ssh:\/\/|https?:\/\/[^#]*\.git(?:[#?]|$))/.test(source);
}
