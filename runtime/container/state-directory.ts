/**
 * The truth about a container: the folder `<state root>/<id>/`, mode 0700. `state.json` is replaced by rename and carries a
 * `formatVersion`; `journal` says what to undo; `exit` is written by stage; `lock` is held while anything changes; `sock` is the
 * supervisor's; `config.json` is the configuration as it was carried out; `start` is the socket at which a created container waits
 * that no supervisor holds, and `start.json` says what it does next.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TareError } from '../kernel/error.js';
import { exactJson, parseExactJson } from '../kernel/exact-json.js';
import { makeFolders, writeFileAtomic } from '../kernel/files.js';
import { DirectoryLock } from '../kernel/lock.js';
import { identityOf, pidNamespace } from '../kernel/process-identity.js';
import type { Config, ContainerId } from '../oci/index.js';
import type { StepDescription } from '../plan/index.js';
import { FORMAT_VERSION, parseState, type StoredState } from './stored-state.js';

/** The name of the socket to which `start` connects. */
export const GATE_SOCKET = 'start';

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
    const unnamed = new StateDirectory(root, unnamedId(state.id));
    let lock: DirectoryLock | undefined;
    let made = false;
    try {
      makeFolders(root);
      StateDirectory.checkFree(root, state.id);
      mkdirSync(unnamed.path, { mode: 0o700 });
      made = true;
      lock = await DirectoryLock.acquire(unnamed.path);
      unnamed.write(state);
      renameSync(unnamed.path, directory.path);
      return { directory, lock };
    } catch (cause) {
      lock?.release();
      if (made) unnamed.remove();
      throw cannotMake(directory.path, state.id, cause as NodeJS.ErrnoException);
    }
  }

  /** @throws TareError `exists` when there is something of this name; `permission` or `system-call` when that cannot be known */
  static checkFree(root: string, id: ContainerId): void {
    const { path } = new StateDirectory(root, id);
    if (isThere(path)) throw new TareError('exists', `a container ${id} exists already`, { path });
  }

  /** @throws TareError `not-found`; `permission` or `system-call` when that cannot be known */
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

  /** Those whose creation was cut off before they had their name, or their removal after it. One of another pid namespace is given time, as nobody is seen there. */
  static listUnnamed(root: string): StateDirectory[] {
    return folders(root)
      .filter((name) => {
        const [, namespace, pid] = /^\..+\.(\d+)\.(\d+)$/.exec(name) ?? [];
        if (namespace === pidNamespace()) return identityOf(Number(pid)) === undefined;
        return pid !== undefined && isOld(join(root, name));
      })
      .map((name) => new StateDirectory(root, name as ContainerId));
  }

  get exists(): boolean {
    return isThere(join(this.path, 'state.json'));
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

  /** As `read`, but undefined for a broken file: then the journal is all that is known. */
  readIfWhole(): StoredState | undefined {
    try {
      return this.read();
    } catch (error) {
      if (error instanceof TareError && error.code === 'protocol') return undefined;
      throw error;
    }
  }

  /** @throws TareError `not-found`, `state` for a newer format, `protocol` for a broken file */
  read(): StoredState {
    const path = join(this.path, 'state.json');
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noContainer(this.id);
      throw cannotReach(error);
    }
    const state = parseState(text, path);
    if (state.formatVersion === FORMAT_VERSION) return state;
    throw new TareError('state', `${path} is of format ${state.formatVersion}, which another version of Tare wrote`, {
      path,
    });
  }

  write(state: Omit<StoredState, 'formatVersion'>): void {
    writeFileAtomic(join(this.path, 'state.json'), `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...state })}\n`);
  }

  writeConfig(config: Config): void {
    writeFileAtomic(join(this.path, 'config.json'), exactJson(config));
  }

  /** The configuration of the container, as it was carried out. @throws TareError `not-found`, `protocol` for a broken file */
  readConfig(): Config {
    return this.#readJson('config.json') as Config;
  }

  writeGateSteps(steps: Readonly<Record<number, StepDescription>>): void {
    writeFileAtomic(join(this.path, 'start.json'), JSON.stringify(steps));
  }

  readGateSteps(): Record<number, StepDescription> {
    return this.#readJson('start.json') as Record<number, StepDescription>;
  }

  #readJson(name: string): unknown {
    const path = join(this.path, name);
    try {
      return parseExactJson(readFileSync(path, 'utf8'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && !this.exists) throw noContainer(this.id);
      throw new TareError('protocol', `${path} cannot be read: ${(cause as Error).message}`, { cause, path });
    }
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

  /** It loses its name first: who is killed in the middle leaves no half of a container that neither can be opened nor lets its name go. */
  remove(): void {
    let { path } = this;
    if (!this.isUnnamed && isThere(path)) {
      path = join(dirname(path), unnamedId(this.id));
      renameSync(this.path, path);
    }
    // Somebody may write to it until it is gone (ENOTEMPTY): stage, or another who deletes it.
    rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 });
  }

  /** It is being made, or removed. */
  get isUnnamed(): boolean {
    return this.id.startsWith('.');
  }
}

/** What a folder is called before it has its name, and after. The process that does so is in it: see `listUnnamed`. */
function unnamedId(id: ContainerId): ContainerId {
  // A name has 255 bytes, of which an id may take 240.
  return `.${id.slice(0, 200)}.${randomBytes(4).toString('hex')}.${pidNamespace()}.${process.pid}` as ContainerId;
}

/** Creating takes milliseconds until there is a name. */
const LONG_MS = 60_000;

function isOld(path: string): boolean {
  const facts = statSync(path, { throwIfNoEntry: false });
  return facts !== undefined && Date.now() - facts.mtimeMs > LONG_MS;
}

function folders(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw cannotReach(error);
  }
}

/** Unlike existsSync, says no only when it is so. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw cannotReach(error);
  }
}

function cannotReach(error: unknown): TareError {
  const { code, message } = error as NodeJS.ErrnoException;
  const kind = code === 'EACCES' || code === 'EPERM' ? 'permission' : 'system-call';
  return new TareError(kind, `the states of the containers cannot be read: ${message}`, { cause: error });
}

function noContainer(id: ContainerId): TareError {
  return new TareError('not-found', `there is no container ${id}`);
}

function cannotMake(path: string, id: ContainerId, cause: NodeJS.ErrnoException): TareError {
  const what = 'the state of the container cannot be kept';
  if (cause instanceof TareError)
    return cause.syscall ? new TareError(cause.code, `${what}: ${cause.message}`, { cause, path }) : cause;
  if ((cause.code === 'EEXIST' || cause.code === 'ENOTEMPTY') && isThere(path))
    return new TareError('exists', `a container ${id} exists already`, { cause, path });
  const code =
    cause.code === 'EACCES' || cause.code === 'EPERM'
      ? 'permission'
      : cause.code === 'ENOSPC'
        ? 'no-space'
        : 'system-call';
  return new TareError(code, `${what}: ${cause.message}`, { cause, path });
}
