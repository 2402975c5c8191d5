/**
 * A folder as data, so that two can be compared in everything that a file system keeps: what an entry is, its mode, owner, size, content,
 * time, extended attributes, target, device numbers, and which names are one file. It is read by Python and not by the code under test, which would
 * not see its own mistakes. Names are bytes, each as one character (latin1).
 */
import { execFileSync } from 'node:child_process';

export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';
  /** Permission bits, with set-user-id, set-group-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  /** Of a file, in bytes. */
  readonly size?: number;
  /** Of a file: sha256, hexadecimal. */
  readonly digest?: string;
  /** Of a symbolic link. */
  readonly target?: string;
  /** Of a device: `1:3`. */
  readonly device?: string;
  /** Of a file that has several names in this tree: the first of them in order. */
  readonly sameAs?: string;
  /** Name to value, both as latin1. */
  readonly xattrs: Readonly<Record<string, string>>;
}

/** Path to entry; the folder itself is `.`, in order of the paths. */
export type Tree = ReadonlyMap<string, TreeEntry>;

/** @param options.oneFileSystem without the folders on which something is mounted */
export function describeTree(root: string, { oneFileSystem = false }: { oneFileSystem?: boolean } = {}): Tree {
  const argv = ['-I', '-c', READER, root, oneFileSystem ? 'one' : 'all'];
  const lines = execFileSync('python3', argv, { encoding: 'latin1', maxBuffer: 1 << 30 });
  const rows = lines
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t').map((cell) => cell.slice(1)))
    .map(([path = '', ...cells]) => ({ path: unhex(path), cells }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const namesOf = new Map<string, string[]>();
  for (const { path, cells } of rows) {
    const file = cells[FILE_CELL];
    if (file) namesOf.set(file, [...(namesOf.get(file) ?? []), path]);
  }
  const tree = new Map<string, TreeEntry>();
  for (const { path, cells } of rows) {
    const [type, mode, uid, gid, mtime, size, digest, target, device, file = '', xattrs] = cells;
    // It may have other names outside of the tree; those are no concern here.
    const [first, ...others] = namesOf.get(file) ?? [];
    tree.set(path, {
      type: type as TreeEntry['type'],
      mode: Number(mode),
      uid: Number(uid),
      gid: Number(gid),
      mtimeNs: BigInt(mtime ?? 0),
      ...(size && { size: Number(size) }),
      ...(digest && { digest }),
      ...(target && { target: unhex(target) }),
      ...(device && { device }),
      ...(first !== undefined && others.length > 0 && { sameAs: first }),
      xattrs: Object.fromEntries((xattrs ?? '').split(',').filter(Boolean).map(nameAndValue)),
    });
  }
  return tree;
}

export interface DiffOptions {
  /** Fields that may differ, of entries for which this says so. */
  readonly ignore?: (path: string, field: keyof TreeEntry | 'presence', entry: TreeEntry) => boolean;
}

/** What differs, a line each; none when they are equal. */
export function diffTrees(first: Tree, second: Tree, { ignore = () => false }: DiffOptions = {}): string[] {
  const lines: string[] = [];
  for (const path of new Set([...first.keys(), ...second.keys()])) {
    const [a, b] = [first.get(path), second.get(path)];
    if (!a || !b) {
      if (!ignore(path, 'presence', (a ?? b) as TreeEntry))
        lines.push(`${path}: only in the ${a ? 'first' : 'second'}`);
      continue;
    }
    for (const field of FIELDS) {
      if (show(a[field]) !== show(b[field]) && !ignore(path, field, a))
        lines.push(`${path}: ${field} is ${show(a[field])} in the first, ${show(b[field])} in the second`);
    }
  }
  return lines.sort();
}

const FIELDS = [
  ...(['type', 'mode', 'uid', 'gid', 'mtimeNs', 'size', 'digest', 'target', 'device', 'sameAs', 'xattrs'] as const),
];

function show(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    return typeof value === 'number' ? `0${value.toString(8)}` : `${value}`;
  return JSON.stringify(Object.entries(value).sort());
}

function unhex(text: string): string {
  return Buffer.from(text, 'hex').toString('latin1');
}

function nameAndValue(pair: string): [string, string] {
  const [name = '', value = ''] = pair.split('=');
  return [unhex(name), unhex(value)];
}

/** Which cell after the path tells the inode. */
const FILE_CELL = 9;

/** One line an entry, the cells apart by tabs, each with a character before it so that none is empty. */
const READER = `
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
KINDS = {stat.S_IFREG: 'file', stat.S_IFDIR: 'directory', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'character',
         stat.S_IFBLK: 'block', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'socket'}
def digest(path):
    total = hashlib.sha256()
    with open(path, 'rb', buffering=0) as file:
        while chunk := file.read(1 << 20): total.update(chunk)
    return total.hexdigest()
def show(path, name):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    regular = kind == stat.S_IFREG
    xattrs = ','.join(sorted(os.fsencode(n).hex() + '=' + os.getxattr(path, n, follow_symlinks=False).hex()
                      for n in os.listxattr(path, follow_symlinks=False)))
    device = f'{os.major(s.st_rdev)}:{os.minor(s.st_rdev)}' if kind in (stat.S_IFCHR, stat.S_IFBLK) else ''
    cells = [name.hex(), KINDS[kind], stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns,
             s.st_size if regular else '', digest(path) if regular else '',
             os.readlink(path).hex() if kind == stat.S_IFLNK else '', device,
             f'{s.st_dev}:{s.st_ino}' if s.st_nlink > 1 and kind != stat.S_IFDIR else '', xattrs]
    sys.stdout.write('\\t'.join('=' + str(cell) for cell in cells) + '\\n')
device = os.stat(root).st_dev
def walk(path, name):
    s = os.lstat(path)
    if sys.argv[2] == 'one' and stat.S_ISDIR(s.st_mode) and s.st_dev != device: return
    show(path, name or b'.')
    if stat.S_ISDIR(s.st_mode):
        for child in os.listdir(path): walk(os.path.join(path, child), (name + b'/' if name else b'') + child)
sys.setrecursionlimit(20000)
walk(root, b'')
`;
