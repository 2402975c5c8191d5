/**
 * The truth about a container: the folder `<state root>/<id>/`, mode 0700. `state.json` is replaced by rename and carries a
 * `formatVersion`; `journal` says what to undo; `exit` is written by stage; `lock` is held while anything changes; `sock` is the
 * supervisor's.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPlace } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import { writeFileAtomic } from '../kernel/files.js';
import { DirectoryLock } from '../kernel/lock.js';
import { identityOf, type ProcessIdentity } from '../kernel/process-identity.js';
import type { ContainerId } from '../oci/index.js';

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

  /**
   * A new one, locked. It appears under its name with its lock held and its first state written, or not at all.
   * @throws TareError `exists`, `permission` or `no-space`
   */
  static async create(
    root: string,
    state: Omit<StoredState, 'formatVersion'>,
  ): Promise<{ directory: StateDirectory; lock: DirectoryLock }> {
    const directory = new StateDirectory(root, state.id);
    const unnamed = new StateDirectory(root, `.${state.id}.${process.pid}` as ContainerId);
    let lock: DirectoryLock | undefined;
    try {
      mkdirSync(root, { recursive: true, mode: 0o700 });
      if (existsSync(directory.path)) throw Object.assign(new Error('it exists'), { code: 'EEXIST' });
      mkdirSync(unnamed.path, { mode: 0o700 });
      lock = await DirectoryLock.acquire(unnamed.path);
      unnamed.write(state);
      renameSync(unnamed.path, directory.path);
      return { directory, lock };
    } catch (cause) {
      lock?.release();
      unnamed.remove();
      throw cannotMake(directory.path, state.id, cause as NodeJS.ErrnoException);
    }
  }

  /** @throws TareError `not-found` */
  static open(root: string, id: ContainerId): StateDirectory {
    const directory = new StateDirectory(root, id);
    if (!directory.exists) throw noContainer(id);
    return directory;
  }

  /** All of them. Other things may lie in the state root: what has no state.json is no container. */
  static list(root: string): StateDirectory[] {
    return folders(root)
      .filter((name) => !name.startsWith('.'))
      .map((name) => new StateDirectory(root, name as ContainerId))
      .filter((directory) => directory.exists);
  }

  /** Those whose creation was cut off before they had their name. */
  static listUnnamed(root: string): StateDirectory[] {
    return folders(root)
      .filter((name) => {
        const pid = /^\..+\.(\d+)$/.exec(name)?.[1];
        return pid !== undefined && identityOf(Number(pid)) === undefined;
      })
      .map((name) => new StateDirectory(root, name as ContainerId));
  }

  get exists(): boolean {
    return existsSync(join(this.path, 'state.json'));
  }

  /** Waits for whoever changes it just now. @throws TareError `busy`, or `not-found` when it was removed meanwhile */
  async lock(waitMs = 10_000): Promise<DirectoryLock> {
    let lock: DirectoryLock;
    try {
      lock = await DirectoryLock.acquire(this.path, { waitMs });
    } catch (error) {
      if (this.exists) throw error;
      throw noContainer(this.id);
    }
    // The holder before us may have deleted the container; then what we hold is the lock of nothing.
    if (existsSync(join(this.path, 'lock'))) return lock;
    lock.release();
    throw noContainer(this.id);
  }

  /** @throws TareError `not-found`, `state` for a newer format, `protocol` for a broken file */
  read(): StoredState {
    const path = join(this.path, 'state.json');
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noContainer(this.id);
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

function folders(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

function noContainer(id: ContainerId): TareError {
  return new TareError('not-found', `there is no container ${id}`);
}

function cannotMake(path: string, id: ContainerId, cause: NodeJS.ErrnoException): TareError {
  if (cause.code === 'EEXIST' || cause.code === 'ENOTEMPTY')
    return new TareError('exists', `a container ${id} exists already`, { cause, path });
  const code =
    cause.code === 'EACCES' || cause.code === 'EPERM'
      ? 'permission'
      : cause.code === 'ENOSPC'
        ? 'no-space'
        : 'system-call';
  return new TareError(code, `the state of the container cannot be kept: ${cause.message}`, { cause, path });
}
