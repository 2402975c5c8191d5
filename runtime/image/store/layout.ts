/**
 * The index.json of the layout: what the images of this store are called. Other programs (skopeo, umoci) may write it too, so it is read anew each time, and
 * what of it is not understood is left as it is. One of ours at a time changes it, and a reader sees the old or the new.
 * image-layout.md, "index.json"; annotations.md, org.opencontainers.image.ref.name
 */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { TareError } from '../../kernel/error.js';
import { writeFileAtomic } from '../../kernel/files.js';
import { DirectoryLock } from '../../kernel/lock.js';
import { type Descriptor, type ImageIndex, MEDIA, parseIndex, REF_NAME } from '../../oci/image/index.js';
import { fullName, parseReference, type Reference } from '../reference.js';
import type { ImageNames } from '../types.js';
import { storeFailure } from './failures.js';

/** Tens of thousands of names. */
const MAX_INDEX = 64 << 20;
/** In milliseconds. It is held for as long as it takes to write a small file. */
const PATIENCE = 30_000;

export class LayoutNames implements ImageNames {
  readonly #root: string;
  readonly #path: string;

  constructor(root: string) {
    this.#root = root;
    this.#path = join(root, 'index.json');
  }

  get(reference: Reference): Descriptor | undefined {
    const entries = this.#read().manifests;
    const wanted = nameOf(reference);
    const byName = entries.find((entry) => nameIn(entry) === wanted);
    if (byName || reference.digest === undefined) return byName && plain(byName);
    // What has been stored under a tag of the same repository can also be asked for by its digest.
    const { digest, registry, repository } = reference;
    const byDigest = entries.find((entry) => {
      const known = entry.digest === digest ? referenceIn(entry) : undefined;
      return known?.registry === registry && known.repository === repository;
    });
    return byDigest && plain(byDigest);
  }

  /** @throws TareError `protocol` when the name has a digest that is not the target's: an archive may say so, to be taken for what is pinned */
  async set(reference: Reference, target: Descriptor): Promise<void> {
    const name = nameOf(reference);
    if (isLie(reference, target))
      throw new TareError('protocol', `${name} cannot be the name of an image whose digest is ${target.digest}`);
    await this.#change((entries) => {
      const before = entries.find((entry) => nameIn(entry) === name);
      const others = entries.filter(
        (entry) => entry !== before && !(entry.digest === target.digest && isNameless(entry)),
      );
      const named = { ...target, annotations: { ...target.annotations, [REF_NAME]: name } };
      // As after a build that was cached: the name means this already.
      if (others.length === entries.length - 1 && isDeepStrictEqual(before, named)) return entries;
      const isLost =
        before && before.digest !== target.digest && !others.some(({ digest }) => digest === before.digest);
      return [...others, ...(isLost ? [plain(before)] : []), named];
    });
  }

  /** Keeps what has no name, such as the image of a build that gives it none, until the next prune. */
  async keep(target: Descriptor): Promise<void> {
    await this.#change((entries) =>
      entries.some(({ digest }) => digest === target.digest) ? entries : [...entries, plain(target)],
    );
  }

  async delete(reference: Reference): Promise<boolean> {
    const name = nameOf(reference);
    let found = false;
    await this.#change((entries) => {
      const left = entries.filter((entry) => nameIn(entry) !== name);
      found = left.length < entries.length;
      return left;
    });
    return found;
  }

  list(): { readonly reference: Reference | undefined; readonly target: Descriptor }[] {
    return this.#read().manifests.map((entry) => ({ reference: referenceIn(entry), target: plain(entry) }));
  }

  /** Removes entries, whatever they are called; `isWanted` is asked with nobody else changing them. @returns what has been removed */
  async deleteWhere(
    isUnwanted: (entry: { reference: Reference | undefined; target: Descriptor }) => boolean,
  ): Promise<Descriptor[]> {
    const gone: Descriptor[] = [];
    await this.#change((entries) =>
      entries.filter((entry) => {
        const unwanted = isUnwanted({ reference: referenceIn(entry), target: plain(entry) });
        if (unwanted) gone.push(plain(entry));
        return !unwanted;
      }),
    );
    return gone;
  }

  /** Removes what somebody who was killed while he wrote has left. */
  async tidy(): Promise<void> {
    const left = () => readdirSync(this.#root).filter((name) => name.startsWith('.index.json.'));
    if (left().length === 0) return;
    using _lock = await DirectoryLock.acquire(this.#root, { waitMs: PATIENCE });
    for (const name of left()) rmSync(join(this.#root, name), { force: true });
  }

  #read(): ImageIndex {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return { schemaVersion: 2, manifests: [] };
    if (size > MAX_INDEX)
      throw new TareError('protocol', `${this.#path} has more than ${MAX_INDEX} bytes`, { path: this.#path });
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(this.#path, 'utf8'));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new TareError(
        'protocol',
        `${this.#path} is no JSON, as what wrote it last did not finish: remove it, and pull again, which finds what is here`,
        {
          cause: error,
          path: this.#path,
        },
      );
    }
    return parseIndex(value, { what: this.#path });
  }

  /** @param edit gives back the same list where there is nothing to write */
  async #change(edit: (entries: readonly Descriptor[]) => readonly Descriptor[]): Promise<void> {
    try {
      using _lock = await DirectoryLock.acquire(this.#root, { waitMs: PATIENCE });
      const index = this.#read();
      const manifests = edit(index.manifests);
      if (manifests === index.manifests) return;
      const written = { ...index, schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests };
      writeFileAtomic(this.#path, JSON.stringify(written, null, 2), { durable: true });
    } catch (error) {
      throw storeFailure(error, `${this.#path} cannot be written`);
    }
  }
}

/** Under what a reference is stored. One with a digest names that, whatever its tag pointed to then. */
function nameOf({ registry, repository, tag, digest }: Reference): string {
  return fullName(digest === undefined ? { registry, repository, tag } : { registry, repository, digest });
}

/** Whoever asks for a digest gets that, or nothing. */
function isLie({ digest }: Reference, target: Descriptor): boolean {
  return digest !== undefined && digest !== target.digest;
}

/** Other programs write short names (`debian:12`), which mean here what they mean on the command line; a false digest is no name. */
function referenceIn(entry: Descriptor): Reference | undefined {
  const name = entry.annotations?.[REF_NAME];
  if (name === undefined) return undefined;
  try {
    const reference = parseReference(name);
    return isLie(reference, entry) ? undefined : reference;
  } catch (error) {
    if (error instanceof TareError && error.code === 'usage') return undefined;
    throw error;
  }
}

function nameIn(entry: Descriptor): string | undefined {
  const reference = referenceIn(entry);
  return reference && nameOf(reference);
}

function isNameless(entry: Descriptor): boolean {
  return entry.annotations?.[REF_NAME] === undefined;
}

function plain(entry: Descriptor): Descriptor {
  const { [REF_NAME]: _name, ...annotations } = entry.annotations ?? {};
  const { annotations: _all, ...rest } = entry;
  return Object.keys(annotations).length > 0 ? { ...rest, annotations } : rest;
}
