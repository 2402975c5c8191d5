/**
 * What state.json says of a container. It is written as a whole, and read again by other processes, later versions of Tare, and after a crash: so it says
 * of which format it is, and of which boot and pid namespace its pids are.
 */
import type { CgroupPlace } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import type { ProcessIdentity } from '../kernel/process-identity.js';
import type { Scope } from '../kernel/systemd/scope-name.js';
import type { ContainerId } from '../oci/index.js';

export interface StoredState {
  readonly formatVersion: 1;
  readonly ociVersion: string;
  readonly id: ContainerId;
  readonly bundle: string;
  /** Absolute path of the root file system. */
  readonly rootfs?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** As last written; whether the process is still there is looked up. */
  readonly status: 'creating' | 'created' | 'running';
  readonly bootId: string;
  /** The pid namespace of the pids below: elsewhere they are others, or nobody. */
  readonly pidNamespace?: string;
  /** The process of Tare that created it. */
  readonly creator: ProcessIdentity;
  /** Process 1 of the container, in the creator's pid namespace. */
  readonly init?: ProcessIdentity;
  readonly stage?: ProcessIdentity;
  readonly cgroup: readonly CgroupPlace[];
  /** The scope of systemd that its cgroup is. */
  readonly scope?: Scope;
  /** ISO 8601. */
  readonly created: string;
  /** Nobody wants to know about it once it has ended and its creator is gone. */
  readonly autoRemove: boolean;
  /** Stage watches over it; else it is its creator's subreaper's, which learns its exit status. */
  readonly supervised?: boolean;
  /** It has the session keyring of who created it; so does what `exec` starts. */
  readonly noNewKeyring?: boolean;
  /** The name of its own. */
  readonly keyring?: string;
}

/** What this version writes. */
export const FORMAT_VERSION = 1;

/** Whole as it was written by one rename; what others have done to it is found out here, once. One of another format is given as it is. @throws TareError `protocol` */
export function parseState(text: string, path: string): StoredState {
  let why = 'it does not hold the state of a container';
  try {
    const state = JSON.parse(text) as StoredState | null;
    const { formatVersion, status, bundle, creator, cgroup, created } = state ?? ({} as Partial<StoredState>);
    if (state && typeof formatVersion === 'number' && formatVersion !== FORMAT_VERSION) return state;
    const isWhole = STATUSES.has(status ?? '') && typeof bundle === 'string' && !!creator && Array.isArray(cgroup);
    if (state && isWhole && typeof creator === 'object' && created) return state;
  } catch (error) {
    why = (error as Error).message;
  }
  throw new TareError('protocol', `${path} is damaged (${why}): tare delete --force removes the container`, { path });
}

const STATUSES: ReadonlySet<string> = new Set(['creating', 'created', 'running']);
