/**
 * The signals that we get, given to the container. Process 1 of a container has no default actions, so whether a signal ends
 * it is up to its program. pid_namespaces(7).
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import type { Watcher } from '../kernel/native.js';
import { PASSED_ON } from '../kernel/signals.js';

/** A container, or a process that `exec` has started in one. */
export interface Signalled {
  /** @throws TareError `state` or `not-found` when it has ended */
  kill(signal: number): void;
}

export class SignalForwarder {
  readonly #watchers: Watcher[] = [];
  readonly #early: number[] = [];
  readonly #onEarly: ((signal: number) => void) | undefined;
  #container: Signalled | undefined;

  /** Takes the signals from now on, and keeps them until there is a container. @param onEarly called with each until then */
  constructor(onEarly?: (signal: number) => void) {
    this.#onEarly = onEarly;
    for (const number of PASSED_ON) {
      const watcher = native.watchSignal(number, (signal) => this.#take(signal));
      watcher.unref();
      this.#watchers.push(watcher);
    }
  }

  forwardTo(container: Signalled): void {
    this.#container = container;
    for (const signal of this.#early.splice(0)) this.#take(signal);
  }

  stop(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #take(signal: number): void {
    if (!this.#container) {
      this.#early.push(signal);
      this.#onEarly?.(signal);
      return;
    }
    try {
      this.#container.kill(signal);
    } catch (error) {
      // It has just ended, or somebody deleted it; its exit code is on its way.
      if (!(error instanceof TareError && (error.code === 'state' || error.code === 'not-found'))) throw error;
    }
  }
}
