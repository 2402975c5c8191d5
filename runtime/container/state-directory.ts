/**
 * The truth about a container: the folder `<state root>/<id>/`, mode 0700. `state.json` is replaced by rename and carries a
 * `formatVersion`; `journal` says what to undo; `exit` is written by stage; `lock` is held while anything changes; `sock` is the
 * supervisor's.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPlace } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import { writeFileAtomic } from '../kernel/files.js';
import { DirectoryLock } from '../kernel/lock.js';
import { type ContainerId, containerId } from '../oci/index.js';
import type { ProcessIdentity } from './process-identity.js';

/** state.json. */
export interface StoredState {
  readonly formatVersion: 1;
  readonly ociVersion: string;
  readonly id: ContainerId;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** As last written; whether the process is still there is looked up. */
  readonly status: 'creating' | 'created' | 'running';
  readonly bootId: string;
  /** The process of Tare that created it. */
  readonly creator: ProcessIdentity;
  /** Process 1 of the container, in the creator's pid namespace. */
  readonly init?: ProcessIdentity;
  readonly stage?: ProcessIdentity;
  readonly cgroup: readonly CgroupPlace[];
  /** ISO 8601. */
  readonly created: string;
  /** Nobody wants to know about it once it has ended and its creator is gone. */
  readonly autoRemove: boolean;
}

const FORMAT_VERSION = 1;

export class StateDirectory {
  readonly path: string;
  readonly id: ContainerId;

  private constructor(root: string, id: ContainerId) {
    this.path = join(root, id);
    this.id = id;
  }

  /** @throws TareError `exists`, `permission` or `no-space` */
  static create(root: string, id: ContainerId): StateDirectory {
    const directory = new StateDirectory(root, id);
    try {
      mkdirSync(root, { recursive: true, mode: 0o700 });
      mkdirSync(directory.path, { mode: 0o700 });
    } catch (cause) {
      throw cannotMake(directory.path, id, cause as NodeJS.ErrnoException);
    }
    return directory;
  }

  /** @throws TareError `not-found` */
  static open(root: string, id: ContainerId): StateDirectory {
    const directory = new StateDirectory(root, id);
    if (!existsSync(directory.path)) throw noContainer(id);
    return directory;
  }

  /** All of them; what is no container's id is left alone. */
  static list(root: string): StateDirectory[] {
    if (!existsSync(root)) return [];
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && isId(entry.name))
      .map((entry) => new StateDirectory(root, containerId(entry.name)));
  }

  /** Waits for whoever changes it just now. @throws TareError `busy`, or `not-found` when it was removed meanwhile */
  async lock(waitMs = 10_000): Promise<DirectoryLock> {
    let lock: DirectoryLock;
    try {
      lock = await DirectoryLock.acquire(this.path, { waitMs });
    } catch (error) {
      if (existsSync(this.path)) throw error;
      throw noContainer(this.id);
    }
    // The holder before us may have deleted the container; then what we hold is the lock of nothing.
    if (existsSync(join(this.path, 'lock'))) return lock;
    lock.release();
    throw noContainer(this.id);
  }

  /** undefined when creating it never got so far. @throws TareError `state` for a newer format, `protocol` for a broken file */
  read(): StoredState | undefined {
    const path = join(this.path, 'state.json');
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    let state: StoredState;
    try {
      state = JSON.parse(text) as StoredState;
    } catch (cause) {
      throw new TareError('protocol', `${path} is damaged: ${(cause as Error).message}`, { cause, path });
    }
    if (state.formatVersion === FORMAT_VERSION) return state;
    throw new TareError('state', `${path} is of format ${state.formatVersion}, which another version of Tare wrote`, {
      path,
    });
  }

  write(state: Omit<StoredState, 'formatVersion'>): void {
    writeFileAtomic(join(this.path, 'state.json'), `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...state })}\n`);
  }

  /** What stage wrote when the container ended: the wait status, and when. undefined while it has not. */
  readExit(): { readonly status: number; readonly at: string } | undefined {
    try {
      const [status, at] = readFileSync(join(this.path, 'exit'), 'utf8').trim().split(' ');
      return { status: Number(status), at: at ?? '' };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function isId(name: string): boolean {
  try {
    containerId(name);
    return true;
  } catch (error) {
    if (error instanceof TareError) return false;
    throw error;
  }
}

function noContainer(id: ContainerId): TareError {
  return new TareError('not-found', `there is no container ${id}`);
}

function cannotMake(path: string, id: ContainerId, cause: NodeJS.ErrnoException): TareError {
  if (cause.code === 'EEXIST') return new TareError('exists', `a container ${id} exists already`, { cause, path });
  const code =
    cause.code === 'EACCES' || cause.code === 'EPERM'
      ? 'permission'
      : cause.code === 'ENOSPC'
        ? 'no-space'
        : 'system-call';
  return new TareError(code, `the state of the container cannot be kept: ${cause.message}`, { cause, path });
}
