/**
 * The options of a mount, sorted: attributes of the mount, bind, propagation, and what is left for the file system
 * itself. config.md, "Linux mount options", lists the words.
 */
import { TareError } from '../../kernel/error.js';
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
  /** MOUNT_ATTR_* of the mount itself. */
  readonly set: number;
  readonly clear: number;
  /** MOUNT_ATTR_* of the mount and those below it: `rro` and its kin. */
  readonly setBelow: number;
  readonly clearBelow: number;
  /** MS_PRIVATE and so on, with MS_REC; 0 for what the namespace has. */
  readonly propagation: number;
  /** Flags of the superblock and options of the file system: `size=64k`, `sync`. */
  readonly data: readonly string[];
}

type Change = { readonly set?: number; readonly clear?: number };

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
  // mount_setattr(2): to change the access time mode, its whole field must be cleared.
  noatime: { set: MOUNT_ATTR_NOATIME, clear: MOUNT_ATTR__ATIME },
  strictatime: { set: MOUNT_ATTR_STRICTATIME, clear: MOUNT_ATTR__ATIME },
  relatime: { clear: MOUNT_ATTR__ATIME },
  atime: { clear: MOUNT_ATTR__ATIME },
  norelatime: {},
  nostrictatime: {},
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

/** What asks for nothing. `newinstance` is how every devpts mount behaves since Linux 4.7. */
const NOTHING = new Set(['defaults', 'loud', 'async', 'nomand', 'nolazytime', 'noiversion', 'newinstance', 'nofail']);
const REFUSED = new Set(['tmpcopyup', 'idmap', 'ridmap', 'remount', 'mand', 'silent', 'iversion']);

/** @throws TareError `unsupported`; `path` names the option */
export function mountOptions(options: readonly string[], path: string): MountOptions {
  let bind: MountOptions['bind'] = 'no';
  const here = { set: 0, clear: 0 };
  const below = { set: 0, clear: 0 };
  let propagation = 0;
  const data: string[] = [];
  options.forEach((option, i) => {
    const at = `${path}.options[${i}]`;
    const attribute = ATTRIBUTES[option];
    const recursive = option.startsWith('r') ? ATTRIBUTES[option.slice(1)] : undefined;
    if (option === 'bind' || option === 'rbind') bind = bind === 'rbind' ? 'rbind' : option;
    else if (attribute) apply(here, attribute);
    else if (recursive) apply(below, recursive);
    else if (PROPAGATION[option] !== undefined) propagation = PROPAGATION[option];
    else if (REFUSED.has(option)) {
      throw new TareError(
        'unsupported',
        `config.json: ${at} asks for "${option}", which this version of Tare cannot do yet`,
        { path: at },
      );
    } else if (!NOTHING.has(option) && option !== '') data.push(option);
  });
  return { bind, ...here, setBelow: below.set, clearBelow: below.clear, propagation, data };
}

/** A later option wins over an earlier one: what is set is no longer cleared, and the other way round. */
function apply(to: { set: number; clear: number }, { set = 0, clear = 0 }: Change): void {
  to.set = (to.set & ~clear) | set;
  to.clear = (to.clear & ~(set & ~MOUNT_ATTR__ATIME)) | clear;
}
