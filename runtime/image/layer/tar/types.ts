/**
 * What an archive's entry says. Names, targets of links and values of extended attributes are bytes, as the kernel has them: UTF-8 only by
 * custom. tar(5) of libarchive describes all formats in one place; POSIX.1-2017 pax(1) the one that is written here.
 */
export type TarType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface TarHeader {
  readonly type: TarType;
  readonly name: Buffer;
  /** Of a symbolic link its text, of a hard link the name of an earlier entry; else empty. */
  readonly linkName: Buffer;
  /** The lower twelve bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In bytes, holes included. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly atimeNs?: bigint;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly Xattr[];
  /** Of a sparse file: where it has data, in ascending order. What the archive holds of it is these, one after the other. */
  readonly sparse?: readonly Extent[];
}

export interface Xattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** An entry as it is read. Its data is there until the next entry is asked for. */
export interface TarEntry extends TarHeader {
  /** Where its header begins, in the uncompressed stream. */
  readonly at: number;
  /** How many bytes the archive holds of it: fewer than `size` when it is sparse. */
  readonly stored: number;
  /** What the archive holds of it. Views into memory that the reader has: they are to be used before the next is asked for. */
  chunks(): AsyncGenerator<Buffer, void, void>;
}

/** Size of a block: headers are one, data is padded to it. */
export const BLOCK = 512;

/** The letters of the entries that are files. What else there is extends the next one. */
export const TYPE_FLAGS: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file', // "contiguous", which no file system knows
  S: 'file', // old GNU sparse
};
