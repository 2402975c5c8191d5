/**
 * What the files of a build context held when they were read last, so that a build reads only those that have changed since. One entry of the
 * cache for each COPY of each context: it goes with the rest of the cache, and holds no more than the files of that COPY.
 */
import type { BuildCache } from '../store/cache.js';
import type { FileDigests } from './context/index.js';

/** So many are known again; of the others each build reads the content. */
const MAX_FILES = 50_000;

export class KnownFiles implements FileDigests {
  readonly #cache: BuildCache;
  readonly #key: string;
  readonly #before: ReadonlyMap<string, string>;
  /** What is there now: files that are gone are forgotten. */
  readonly #now = new Map<string, string>();

  /**
   * @param name of what is copied from where
   * @param useBefore false: everything is read again, as with `--no-cache`
   */
  constructor(cache: BuildCache, name: string, useBefore: boolean) {
    this.#cache = cache;
    this.#key = `build-files:${name}`;
    this.#before = new Map(useBefore ? Object.entries((cache.get(this.#key) ?? {}) as Record<string, string>) : []);
  }

  get(key: string): string | undefined {
    const digest = this.#before.get(key);
    if (digest !== undefined) this.set(key, digest);
    return digest;
  }

  set(key: string, digest: string): void {
    if (this.#now.size < MAX_FILES) this.#now.set(key, digest);
  }

  /** Writes it down, where it is not what is there. */
  save(): void {
    const same = this.#now.size === this.#before.size && [...this.#now.keys()].every((key) => this.#before.has(key));
    if (!same) this.#cache.set(this.#key, Object.fromEntries(this.#now), {});
  }
}
