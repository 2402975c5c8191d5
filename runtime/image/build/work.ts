/**
 * Where a step of a build is at work: a folder of its own, named by the step's key, under a lock. So two builds that come to the same step do it
 * once, and what a killed build has left is known by nobody holding its lock: the next build, or a prune, ends its container and removes it.
 * flock(2)
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { O_CREAT, O_RDWR } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import type { OwnedFd } from '../../kernel/fd.js';
import { makeFolders } from '../../kernel/files.js';
import { lockNamed } from '../../kernel/lock.js';
import { removeTreeAt } from '../../kernel/tree.js';

/** Below the root of the store: what builds work in, and the folders that they keep for RUNs. */
export const BUILDS = 'build-cache';
const STEPS = `${BUILDS}/steps`;
const LOCK = '.lock';

export class StepWork implements AsyncDisposable {
  /** Empty at first; gone at the end. On the file system of the store, so that what is in it can become a snapshot by rename. */
  readonly folder: string;
  readonly #lock: StepLock;

  private constructor(folder: string, lock: StepLock) {
    this.folder = folder;
    this.#lock = lock;
  }

  /**
   * Waits for whoever does the same step.
   * @param root of the store
   * @throws the signal's reason
   */
  static async begin(root: string, key: string, signal?: AbortSignal): Promise<StepWork> {
    const steps = join(root, STEPS);
    makeFolders(steps);
    const lock = await StepLock.acquire(join(steps, key + LOCK), signal);
    const folder = join(steps, key);
    try {
      await removeWork(folder);
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      lock.release();
      throw error;
    }
    return new StepWork(folder, lock);
  }

  /** Before the container is made: whoever comes after a crash ends it. */
  announce(container: AnnouncedContainer): void {
    writeFileSync(join(this.folder, CONTAINER), JSON.stringify(container), { mode: 0o600 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await removeWork(this.folder);
    } finally {
      this.#lock.release();
    }
  }
}

/** Removes what killed builds have left below the root of a store, with their containers. What is being worked on is left alone. */
export async function removeDeadWork(root: string): Promise<void> {
  const steps = join(root, STEPS);
  if (!existsSync(steps)) return;
  const keys = new Set(readdirSync(steps).map((name) => (name.endsWith(LOCK) ? name.slice(0, -LOCK.length) : name)));
  for (const key of keys) {
    const lock = StepLock.tryAcquire(join(steps, key + LOCK));
    if (!lock) continue;
    try {
      await removeWork(join(steps, key));
    } finally {
      lock.release();
    }
  }
}

const CONTAINER = 'container';

interface AnnouncedContainer {
  readonly id: string;
  readonly stateRoot: string;
}

async function removeWork(folder: string): Promise<void> {
  const announced = readAnnounced(join(folder, CONTAINER));
  if (announced) await removeContainer(announced);
  // By descriptor: a program has written what is in it, as deep as it liked.
  removeTreeAt(folder);
}

/** One that was cut off while it was written named a container that had not been made. */
function readAnnounced(file: string): AnnouncedContainer | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as AnnouncedContainer;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function removeContainer({ id, stateRoot }: AnnouncedContainer): Promise<void> {
  // Loaded only when it is needed.
  const { collectGarbage, Container } = await import('../../container/index.js');
  try {
    await Container.open(id, stateRoot).delete({ force: true });
  } catch (error) {
    if (!(error instanceof TareError && error.code === 'not-found')) throw error;
    // Not made yet, or removed; or the killed build was just doing the one or the other, and then something of it is there.
    await collectGarbage(stateRoot);
  }
}

/** A lock file that goes when it is let go of. */
class StepLock {
  readonly #path: string;
  readonly #file: OwnedFd;

  private constructor(path: string, file: OwnedFd) {
    this.#path = path;
    this.#file = file;
  }

  static async acquire(path: string, signal?: AbortSignal): Promise<StepLock> {
    for (let pause = 1; ; pause = Math.min(pause * 2, 100)) {
      signal?.throwIfAborted();
      const lock = StepLock.tryAcquire(path);
      if (lock) return lock;
      await sleep(pause, undefined, { signal });
    }
  }

  static tryAcquire(path: string): StepLock | undefined {
    const file = lockNamed(path, O_RDWR | O_CREAT);
    return file && new StepLock(path, file);
  }

  release(): void {
    rmSync(this.#path, { force: true });
    this.#file.close();
  }
}
