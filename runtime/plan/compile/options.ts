/**
 * The options of a mount, sorted: attributes of the mount, how it is made, propagation, and what is left for the file
 * system itself. config.md, "Linux mount options", lists the words; an unknown one is the file system's.
 */
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from './abi.js';

export interface MountOptions {
  readonly bind: 'no' | 'bind' | 'rbind';
  /** Nothing is mounted: the mount that is at the destination gets these options. */
  readonly remount: boolean;
  /** MOUNT_ATTR_* of the mount itself that it is to have. */
  readonly set: number;
  /** Those that it is not to have, without the mode of access times. */
  readonly clear: number;
  /** The mode of access times in `set`; undefined where none was named. */
  readonly atime: number | undefined;
  /** Some attribute was named, be it one that is off anyway. */
  readonly asked: boolean;
  /** MOUNT_ATTR_* of the mount and those below it: `rro` and its kin. */
  readonly setBelow: number;
  readonly clearBelow: number;
  /** MS_PRIVATE and so on, with MS_REC, one after the other: a mount may be slave and shared. */
  readonly propagation: readonly number[];
  /** The owners of its files are mapped; `ridmap`: also of the mounts below it. */
  readonly idmap: 'no' | 'idmap' | 'ridmap';
  /** A tmpfs begins with a copy of what it hides. */
  readonly copyUp: boolean;
  /** Flags of the superblock, which every file system knows: `sync`. */
  readonly superblock: readonly string[];
  /** Options of the file system: `size=64k`. */
  readonly data: readonly string[];
}

/** A word that is in no table is for the file system to refuse. */
export function mountOptions(options: readonly string[]): MountOptions {
  const made = {
    bind: 'no' as MountOptions['bind'],
    idmap: 'no' as MountOptions['idmap'],
    remount: false,
    copyUp: false,
    asked: false,
  };
  const here: Attributes = { set: 0, clear: 0, atime: undefined };
  const below = { set: 0, clear: 0 };
  const propagation: number[] = [];
  const superblock: string[] = [];
  const data: string[] = [];
  for (const option of options) {
    const attribute = ATTRIBUTES.get(option);
    const recursive = RECURSIVE.get(option);
    const flag = PROPAGATION.get(option);
    if (attribute || SUPERBLOCK.has(option)) made.asked = true;
    if (option === 'bind' || option === 'rbind') made.bind = made.bind === 'rbind' ? 'rbind' : option;
    else if (option === 'idmap' || option === 'ridmap') made.idmap = option;
    else if (option === 'tmpcopyup') made.copyUp = true;
    else if (option === 'remount') made.remount = true;
    else if (attribute) apply(here, attribute);
    else if (recursive) applyBelow(below, recursive);
    else if (flag !== undefined) propagation.push(flag);
    else if (SUPERBLOCK.has(option)) superblock.push(option);
    else if (!NOTHING.has(option) && option !== '') data.push(option);
  }
  const { set, clear, atime } = here;
  const own = { set: set | (atime ?? 0), clear, atime };
  return { ...made, ...own, setBelow: below.set, clearBelow: below.clear, propagation, superblock, data };
}

interface Attributes {
  set: number;
  clear: number;
  atime: number | undefined;
}

/** An attribute that is on or off; or a mode of access times, of which there is one. */
type Change = { readonly on: number } | { readonly off: number } | { readonly mode: number } | { readonly not: number };

/** Maps: a word such as `constructor` is in no table. */
const ATTRIBUTES: ReadonlyMap<string, Change> = new Map(
  Object.entries<Change>({
    ro: { on: MOUNT_ATTR_RDONLY },
    rw: { off: MOUNT_ATTR_RDONLY },
    nosuid: { on: MOUNT_ATTR_NOSUID },
    suid: { off: MOUNT_ATTR_NOSUID },
    nodev: { on: MOUNT_ATTR_NODEV },
    dev: { off: MOUNT_ATTR_NODEV },
    noexec: { on: MOUNT_ATTR_NOEXEC },
    exec: { off: MOUNT_ATTR_NOEXEC },
    nodiratime: { on: MOUNT_ATTR_NODIRATIME },
    diratime: { off: MOUNT_ATTR_NODIRATIME },
    nosymfollow: { on: MOUNT_ATTR_NOSYMFOLLOW },
    symfollow: { off: MOUNT_ATTR_NOSYMFOLLOW },
    // relatime is the mode that is 0, and the kernel's default since Linux 2.6.30.
    relatime: { mode: 0 },
    noatime: { mode: MOUNT_ATTR_NOATIME },
    strictatime: { mode: MOUNT_ATTR_STRICTATIME },
    norelatime: { not: 0 },
    atime: { not: MOUNT_ATTR_NOATIME },
    nostrictatime: { not: MOUNT_ATTR_STRICTATIME },
  }),
);

/** `rro` for `ro`, and so on. */
const RECURSIVE: ReadonlyMap<string, Change> = new Map([...ATTRIBUTES].map(([name, change]) => [`r${name}`, change]));

const PROPAGATION: ReadonlyMap<string, number> = new Map(
  Object.entries({
    private: MS_PRIVATE,
    shared: MS_SHARED,
    slave: MS_SLAVE,
    unbindable: MS_UNBINDABLE,
    rprivate: MS_REC | MS_PRIVATE,
    rshared: MS_REC | MS_SHARED,
    rslave: MS_REC | MS_SLAVE,
    runbindable: MS_REC | MS_UNBINDABLE,
  }),
);

/** Flags that fsconfig(2) takes for any file system. mount(2), "MS_SYNCHRONOUS" and the others. */
const SUPERBLOCK = new Set(['sync', 'async', 'dirsync', 'lazytime', 'nolazytime', 'mand', 'nomand']);

/**
 * What asks for nothing. `newinstance` is how every devpts mount behaves since Linux 4.7; `silent` and `loud` are about
 * messages of mount(2); file systems that can count inode versions do so without `iversion`. `nofail` is fstab(5)'s.
 */
const NOTHING = new Set(['defaults', 'silent', 'loud', 'iversion', 'noiversion', 'newinstance', 'nofail']);

/** Every word that is not left to the file system, in alphabetical order: what `features` lists. */
export const KNOWN_OPTIONS: readonly string[] = [
  ...[
    'bind',
    'rbind',
    'idmap',
    'ridmap',
    'tmpcopyup',
    'remount',
    'defaults',
    'silent',
    'loud',
    'iversion',
    'noiversion',
  ],
  ...[ATTRIBUTES, RECURSIVE, PROPAGATION].flatMap((table) => [...table.keys()]),
  ...SUPERBLOCK,
].sort();

/** A later option wins over an earlier one. */
function apply(to: Attributes, change: Change): void {
  if ('mode' in change) to.atime = change.mode;
  else if ('not' in change) to.atime = to.atime === change.not ? undefined : to.atime;
  else applyBit(to, change);
}

/** What switches a mode of access times off gives the default one, as runc has it. mount_setattr(2) wants the field cleared as a whole. */
function applyBelow(to: { set: number; clear: number }, change: Change): void {
  if ('on' in change || 'off' in change) {
    applyBit(to, change);
  } else {
    to.set = (to.set & ~MOUNT_ATTR__ATIME) | ('mode' in change ? change.mode : 0);
    to.clear |= MOUNT_ATTR__ATIME;
  }
}

function applyBit(
  to: { set: number; clear: number },
  change: { readonly on: number } | { readonly off: number },
): void {
  const [on, off] = 'on' in change ? [change.on, 0] : [0, change.off];
  to.set = (to.set & ~off) | on;
  to.clear = (to.clear & ~on) | off;
}
