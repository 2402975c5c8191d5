/** What the parts of one build share: the store and the lease that keeps what it works with, how many may work at a time, and whom to tell. */
import type { Platform } from '../../oci/image/index.js';
import type { PullWay } from '../obtain.js';
import type { Slots } from '../snapshot/unpack.js';
import type { ImageStore } from '../store/index.js';
import type { Lease, Snapshots } from '../types.js';
import type { StepCache } from './cache.js';
import type { BuildEvent, OnBuildEvent, StepInfo } from './events.js';
import type { Network } from './run.js';

export interface Session {
  readonly store: ImageStore;
  readonly snapshots: Snapshots;
  readonly lease: Lease;
  readonly cache: StepCache;
  readonly platform: Platform;
  readonly pull: PullWay;
  /** Whether what earlier builds have come to is used. */
  readonly useCache: boolean;
  /** Steps at work at a time. */
  readonly slots: Slots;
  readonly signal: AbortSignal;
  /** SOURCE_DATE_EPOCH, in seconds: no time in the result is later. */
  readonly epoch?: number;
  readonly network: Network;
  /** Lines for /etc/hosts. */
  readonly hosts: readonly string[];
  /** The Dockerfile may be a stranger's: the host's network is for who builds to give. */
  readonly allowHostNetwork: boolean;
  readonly steps: StepTeller;
}

/** Numbers the steps, and tells of them. */
export class StepTeller {
  readonly #tell: OnBuildEvent;
  #last = 0;

  constructor(tell: OnBuildEvent) {
    this.#tell = tell;
  }

  tell(event: BuildEvent): void {
    this.#tell(event);
  }

  warn(text: string): void {
    this.#tell({ kind: 'warning', text });
  }

  /** Does the work as a step of its own. What it gives says whether it was cached. */
  async step<T extends object>(info: Omit<StepInfo, 'number'>, work: (step: StepInfo) => Promise<T>): Promise<T> {
    const step = { ...info, number: ++this.#last };
    const begun = performance.now();
    this.#tell({ kind: 'started', step });
    try {
      const result = await work(step);
      this.#tell(
        'cached' in result && result.cached
          ? { kind: 'cached', step }
          : { kind: 'done', step, ms: performance.now() - begun },
      );
      return result;
    } catch (error) {
      this.#tell({ kind: 'failed', step, ms: performance.now() - begun });
      throw error;
    }
  }
}

/** Now, or the time that the build is told to believe in. RFC 3339. */
export function timeOf({ epoch }: Pick<Session, 'epoch'>): string {
  return new Date(epoch === undefined ? Date.now() : Math.min(Date.now(), epoch * 1000)).toISOString();
}
