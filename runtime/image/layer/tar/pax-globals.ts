/**
 * The records of global extended headers, which hold for every entry that follows. They are kept once, however many entries there are: an
 * entry of 512 bytes must not cost what a header of a megabyte before it did. POSIX.1-2017 pax(1), typeflag g
 */
import { malformed } from './bytes.js';
import { MAX_EXTENSION, MAX_RECORDS, type PaxRecords, xattrsOf } from './pax.js';
import type { Xattr } from './types.js';

export class PaxGlobals {
  readonly #records = new Map<string, Buffer>();
  #xattrs: readonly Xattr[] = [];

  /**
   * What another header says; an empty value takes back what was said before.
   * @throws TareError `protocol` when they are too many, too long, or the map of a sparse file, which is one file's alone
   */
  add(records: ReadonlyMap<string, Buffer>, at: number): void {
    for (const [key, value] of records)
      if (key.startsWith('GNU.sparse.')) throw malformed(at, 'a global record is the map of a sparse file');
      else if (value.length === 0) this.#records.delete(key);
      else this.#records.set(key, value);
    if (this.#records.size > MAX_RECORDS) throw malformed(at, `there are more than ${MAX_RECORDS} global records`);
    let bytes = 0;
    for (const [key, value] of this.#records) bytes += key.length + value.length;
    if (bytes > MAX_EXTENSION) throw malformed(at, `the global records are longer than ${MAX_EXTENSION} bytes`);
    this.#xattrs = xattrsOf(this.#records, at);
  }

  /** Those of one entry, and where it has none the global ones. */
  below(local: ReadonlyMap<string, Buffer>): PaxRecords {
    const records = this.#records;
    if (records.size === 0) return local;
    return { get: (key) => local.get(key) ?? records.get(key), has: (key) => local.has(key) || records.has(key) };
  }

  /** The attributes of an entry: its own, and the global ones of other names. The array is shared by the entries that have none. */
  xattrsWith(local: ReadonlyMap<string, Buffer>, at: number): readonly Xattr[] {
    const own = local.size === 0 ? [] : xattrsOf(local, at);
    if (own.length === 0 || this.#xattrs.length === 0) return own.length === 0 ? this.#xattrs : own;
    const names = new Set(own.map(({ name }) => name.toString('latin1')));
    return [...this.#xattrs.filter(({ name }) => !names.has(name.toString('latin1'))), ...own];
  }
}
