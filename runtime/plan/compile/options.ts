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
  /** MOUNT_ATTR_* of the mount itself. */
  readonly set: number;
  readonly clear: number;
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

/** @throws nothing: a word that is in no table is for the file system to refuse */
export function mountOptions(options: readonly string[]): MountOptions {
  const made = {
    bind: 'no' as MountOptions['bind'],
    idmap: 'no' as MountOptions['idmap'],
    remount: false,
    copyUp: false,
  };
  const here = { set: 0, clear: 0 };
  const below = { set: 0, clear: 0 };
  const propagation: number[] = [];
  const superblock: string[] = [];
  const data: string[] = [];
  for (const option of options) {
    const attribute = ATTRIBUTES[option];
    const recursive = RECURSIVE[option];
    const flag = PROPAGATION[option];
    if (option === 'bind' || option === 'rbind') made.bind = made.bind === 'rbind' ? 'rbind' : option;
    else if (option === 'idmap' || option === 'ridmap') made.idmap = option;
    else if (option === 'tmpcopyup') made.copyUp = true;
    else if (option === 'remount') made.remount = true;
    else if (attribute) apply(here, attribute);
    else if (recursive) apply(below, recursive);
    else if (flag !== undefined) propagation.push(flag);
    else if (SUPERBLOCK.has(option)) superblock.push(option);
    else if (!NOTHING.has(option) && option !== '') data.push(option);
  }
  return { ...made, ...here, setBelow: below.set, clearBelow: below.clear, propagation, superblock, data };
}

type Change = { readonly set?: number; readonly clear?: number };

// mount_setattr(2): to change the access time mode, its whole field must be cleared. relatime is the one that is 0.
const RELATIME: Change = { clear: MOUNT_ATTR__ATIME };

const ATTRIBUTES: Readonly<Record<string, Change>> = {
  ro: { set: MOUNT_ATTR_RDONLY },
  rw: { clear: MOUNT_ATTR_RDONLY },
  nosuid: { set: MOUNT_ATTR_NOSUID },
  suid: { clear: MOUNT_ATTR_NOSUID },
  nodev: { set: MOUNT_ATTR_NODEV },
  dev: { clear: MOUNT_ATTR_NODEV },
  noexec: { set: MOUNT_ATTR_NOEXEC },
  exec: { clear: MOUNT_ATTR_NOEXEC },
  nodiratime: { set: MOUNT_ATTR_NODIRATIME },
  diratime: { clear: MOUNT_ATTR_NODIRATIME },
  nosymfollow: { set: MOUNT_ATTR_NOSYMFOLLOW },
  symfollow: { clear: MOUNT_ATTR_NOSYMFOLLOW },
  noatime: { set: MOUNT_ATTR_NOATIME, clear: MOUNT_ATTR__ATIME },
  strictatime: { set: MOUNT_ATTR_STRICTATIME, clear: MOUNT_ATTR__ATIME },
  relatime: RELATIME,
  atime: RELATIME,
  // What is left when neither is: the kernel's default, which is relatime since Linux 2.6.30.
  norelatime: {},
  nostrictatime: {},
};

/** `rro` for `ro`, and so on. Those of the access time that switch something off change it, as runc has it. */
const RECURSIVE: Readonly<Record<string, Change>> = {
  ...Object.fromEntries(Object.entries(ATTRIBUTES).map(([name, change]) => [`r${name}`, change])),
  rnorelatime: RELATIME,
  rnostrictatime: RELATIME,
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  shared: MS_SHARED,
  slave: MS_SLAVE,
  unbindable: MS_UNBINDABLE,
  rprivate: MS_REC | MS_PRIVATE,
  rshared: MS_REC | MS_SHARED,
  rslave: MS_REC | MS_SLAVE,
  runbindable: MS_REC | MS_UNBINDABLE,
};

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
  ...[ATTRIBUTES, RECURSIVE, PROPAGATION].flatMap((table) => Object.keys(table)),
  ...SUPERBLOCK,
].sort();

/** A later option wins over an earlier one: what is set is no longer cleared, and the other way round. */
function apply(to: { set: number; clear: number }, { set = 0, clear = 0 }: Change): void {
  to.set = (to.set & ~clear) | set;
  to.clear = (to.clear & ~(set & ~MOUNT_ATTR__ATIME)) | clear;
}
