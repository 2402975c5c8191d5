/**
 * Writes a cpio archive of the "newc" format, which is what the kernel unpacks as its initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Directories come before what is in them.
 */
import { S_IFDIR, S_IFMT } from '../../kernel/constants/stat.js';

export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  /** Permissions and file type: 0o040755 a directory, 0o100755 a file. */
  readonly mode: number;
  readonly data?: Uint8Array;
}

/** The archive; the same bytes for the same entries: no times, all owned by root. */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, i) => member(i + 1, entry));
  parts.push(...member(0, { path: 'TRAILER!!!', mode: 0 }));
  return Buffer.concat(parts);
}

function member(inode: number, { path, mode, data = new Uint8Array() }: CpioEntry): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const links = (mode & S_IFMT) === S_IFDIR ? 2 : 1;
  // inode mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map((n) => n.toString(16).toUpperCase().padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), data, padding(data.length)];
}

/** Headers and data begin at multiples of four. */
function padding(size: number): Uint8Array {
  return new Uint8Array((4 - (size % 4)) % 4);
}
