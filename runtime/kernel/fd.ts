/**
 * A descriptor with one owner. Whoever holds an `OwnedFd` closes it: by `using`, or by `close` in a `finally`. Descriptors that
 * are only looked at are passed as plain numbers.
 */
import { native } from './addon.js';
import { TareError } from './error.js';

export class OwnedFd implements Disposable {
  #fd: number | undefined;

  /** Takes over an open descriptor. */
  constructor(fd: number) {
    if (!Number.isInteger(fd) || fd < 0) throw new TareError('internal', `${fd} is no descriptor`);
    this.#fd = fd;
  }

  /** The number, to be used while this is open. @throws TareError `internal` once it has been closed or released. */
  get fd(): number {
    if (this.#fd === undefined) throw new TareError('internal', 'a descriptor is used after it was closed');
    return this.#fd;
  }

  get isOpen(): boolean {
    return this.#fd !== undefined;
  }

  /** Gives the ownership away: the caller closes it from now on. */
  release(): number {
    const fd = this.fd;
    this.#fd = undefined;
    return fd;
  }

  /** Closes it; again does nothing, since by then the number may be another's. */
  close(): void {
    if (this.#fd !== undefined) native.close(this.release());
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Closes all of them, also when one fails; the first failure is thrown at the end. */
export function closeAll(fds: Iterable<number>): void {
  const failures: unknown[] = [];
  for (const fd of fds) {
    try {
      native.close(fd);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
