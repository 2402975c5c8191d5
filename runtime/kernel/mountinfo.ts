/**
 * Reads /proc/PID/mountinfo: one typed entry a mount, octal escapes resolved. proc_pid_mountinfo(5).
 */
import { TareError } from './error.js';

export interface MountInfo {
  /** Unique while the mount exists; reused afterwards. */
  readonly id: number;
  readonly parent: number;
  /** Device number of the file system, as stat(2) has it. */
  readonly major: number;
  readonly minor: number;
  /** The directory of the file system that is visible here: `/` unless it is a bind mount. */
  readonly root: string;
  /** Relative to the root directory of the process whose mountinfo it is. */
  readonly mountPoint: string;
  /** Of this mount: `ro`, `nosuid`, `noatime` ... */
  readonly options: readonly string[];
  /** Peer group of a shared mount. */
  readonly shared?: number;
  /** Peer group from which a slave mount receives. */
  readonly master?: number;
  /** With `master`: the nearest peer group that is visible to this process. */
  readonly propagateFrom?: number;
  readonly unbindable: boolean;
  /** `ext4`, `proc`, `fuse.sshfs` ... */
  readonly fsType: string;
  readonly source: string;
  /** Of the file system, shared by all its mounts. */
  readonly superOptions: readonly string[];
}

/** Parses the whole file. @throws TareError `protocol` for a line that is none of mountinfo's. */
export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

/** Propagation as mount(8) names it: `shared`, `slave`, `slave,shared`, `private` or `unbindable`. */
export function propagation(mount: MountInfo): string {
  if (mount.unbindable) return 'unbindable';
  const kinds = [...(mount.master === undefined ? [] : ['slave']), ...(mount.shared === undefined ? [] : ['shared'])];
  return kinds.join(',') || 'private';
}

/** The mount that shows a path, which must be absolute and without symbolic links: the last of those at the nearest place above it. */
export function mountOf(text: string, path: string): MountInfo | undefined {
  const above = (point: string) => point === '/' || path === point || path.startsWith(`${point}/`);
  return parseMountInfo(text)
    .filter(({ mountPoint }) => above(mountPoint))
    .reduce<MountInfo | undefined>(
      (best, mount) => (best && best.mountPoint.length > mount.mountPoint.length ? best : mount),
      undefined,
    );
}

//   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
const LINE = /^(\d+) (\d+) (\d+):(\d+) ([^ ]+) ([^ ]+) ([^ ]+) ((?:[^ ]+ )*?)- ([^ ]+) ([^ ]*) ([^ ]*)$/;

function parseLine(line: string): MountInfo {
  const match = LINE.exec(line);
  if (!match) throw new TareError('protocol', `this is no line of mountinfo: ${JSON.stringify(line)}`);
  const [id = '', parent = '', major = '', minor = '', root = '', point = '', options = '', tags = ''] = match.slice(1);
  const [fsType = '', source = '', superOptions = ''] = match.slice(9);
  const tag = new Map(
    tags
      .split(' ')
      .filter(Boolean)
      .map((text) => [text.split(':')[0], text.split(':')[1]] as const),
  );
  const group = (name: string) => (tag.has(name) ? Number(tag.get(name)) : undefined);
  return {
    id: Number(id),
    parent: Number(parent),
    major: Number(major),
    minor: Number(minor),
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(point),
    options: options.split(','),
    shared: group('shared'),
    master: group('master'),
    propagateFrom: group('propagate_from'),
    unbindable: tag.has('unbindable'),
    fsType: unescapeOctal(fsType),
    source: unescapeOctal(source),
    superOptions: unescapeOctal(superOptions).split(','),
  };
}

/** Space, tab, newline, backslash and (in sources) `#` are written as `\040` and so on; each escape is one byte. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
