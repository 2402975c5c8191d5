/**
 * /proc/PID/mountinfo, parsed: what a mount namespace holds, one line a mount (proc_pid_mountinfo(5)). The text may come
 * from a hostile guest: a line that is not of the kernel's form throws a TareError with code `protocol`.
 */
import { TareError } from './error.js';

export interface Mount {
  readonly id: number;
  /** Id of the mount that this one is on; its own id, or one that is not in the list, for the root. */
  readonly parent: number;
  /** `major:minor` of the file system, as st_dev of its files. */
  readonly device: string;
  /** The directory of the file system that is seen here: `/`, or what a bind mount has picked. */
  readonly root: string;
  /** Where, relative to the process's root. */
  readonly target: string;
  /** Options of this mount: `ro`, `nosuid` ... */
  readonly options: readonly string[];
  /** Peer group to which mounts and unmounts go, and from which they come. */
  readonly shared?: number;
  /** Peer group from which they come only. */
  readonly master?: number;
  /** Nearest peer group that the process can see, where the master is out of its sight. */
  readonly propagateFrom?: number;
  readonly unbindable: boolean;
  /** `ext4`, `proc`, `fuse.sshfs`. */
  readonly type: string;
  readonly source: string;
  /** Options of the file system. */
  readonly superOptions: readonly string[];
}

/** More mounts than the kernel's default limit (sysctl fs.mount-max) allows; beyond it the text is not taken. */
const MAX_MOUNTS = 100_000;

/**
 * Parses the whole of a mountinfo file.
 *
 * @throws TareError `protocol` for a line that the kernel does not write.
 */
export function parseMountinfo(text: string): Mount[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length > MAX_MOUNTS) throw new TareError('protocol', `mountinfo has more than ${MAX_MOUNTS} lines`);
  return lines.map(parseLine);
}

/** `private`, `shared:5`, `master:3`, `shared:5,master:3` or `unbindable`. */
export function propagationOf(mount: Mount): string {
  const words: string[] = [];
  if (mount.shared !== undefined) words.push(`shared:${mount.shared}`);
  if (mount.master !== undefined) words.push(`master:${mount.master}`);
  if (mount.unbindable) words.push('unbindable');
  return words.join(',') || 'private';
}

function parseLine(line: string): Mount {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [id, parent, device, root, target, options] = fields;
  const [type, source, superOptions] = dash === -1 ? [] : fields.slice(dash + 1);
  // The source may be the empty string ("- tmpfs  rw"), so only undefined means missing.
  if (
    root === undefined ||
    target === undefined ||
    options === undefined ||
    type === undefined ||
    source === undefined ||
    !/^\d+:\d+$/.test(device ?? '')
  ) {
    throw malformed(line);
  }
  const tags = fields.slice(6, dash);
  return {
    id: number(id, line),
    parent: number(parent, line),
    device: device as string,
    root: unmangle(root),
    target: unmangle(target),
    options: options.split(','),
    ...group('shared', 'shared:', tags, line),
    ...group('master', 'master:', tags, line),
    ...group('propagateFrom', 'propagate_from:', tags, line),
    unbindable: tags.includes('unbindable'),
    type: unmangle(type),
    source: unmangle(source),
    superOptions: superOptions ? unmangle(superOptions).split(',') : [],
  };
}

/** Unknown tags are for kernels to come: the manual page says to ignore them. */
function group<K extends string>(key: K, prefix: string, tags: readonly string[], line: string): { [P in K]?: number } {
  const tag = tags.find((t) => t.startsWith(prefix));
  return tag === undefined ? {} : ({ [key]: number(tag.slice(prefix.length), line) } as { [P in K]?: number });
}

function number(text: string | undefined, line: string): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw malformed(line);
  return Number(text);
}

/** The kernel writes space, tab, newline, backslash and # as three octal digits (seq_path, mangle). */
function unmangle(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function malformed(line: string): TareError {
  return new TareError('protocol', `not a line of mountinfo: ${JSON.stringify(line.slice(0, 200))}`);
}
