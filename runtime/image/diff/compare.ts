/** Whether a file is still what it was: everything that a layer keeps of it. Times of access and of change of status are not kept. */
import type { FileStatus } from '../../kernel/native-files.js';
import { sameContent } from './content.js';
import type { Node } from './node.js';

/** Type, mode, owner, time, attributes, target, device number, and the size of a regular file. */
export function sameAttributes(a: Node, b: Node): boolean {
  return sameStatus(a.status, b.status, a.isFile) && a.target().equals(b.target()) && sameXattrs(a, b);
}

/** The same with what it holds; of a directory, not what is in it. */
export async function sameFile(a: Node, b: Node): Promise<boolean> {
  return sameAttributes(a, b) && (!a.isFile || (await sameContent(a, b)));
}

function sameStatus(a: FileStatus, b: FileStatus, isFile: boolean): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.mtimeNs === b.mtimeNs &&
    a.rdevMajor === b.rdevMajor &&
    a.rdevMinor === b.rdevMinor &&
    (!isFile || a.size === b.size)
  );
}

function sameXattrs(a: Node, b: Node): boolean {
  const [first, second] = [a.xattrs(), b.xattrs()];
  return (
    first.length === second.length &&
    first.every(({ name, value }, i) => name.equals(second[i]?.name ?? NONE) && value.equals(second[i]?.value ?? NONE))
  );
}

const NONE = Buffer.alloc(0);
