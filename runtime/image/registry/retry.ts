/**
 * Trying again: what may be otherwise the next time (a connection that broke, a server that is busy) is marked where it is thrown; all else is thrown on at
 * once. RFC 9110, section 10.2.3 (Retry-After)
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TareError } from '../../kernel/error.js';
import type { Limits } from './limits.js';

/** What passes; `waitMs` is what the server asked for. */
const passing = new WeakMap<Error, { readonly waitMs?: number }>();

/** Marks an error as one that may not come again. */
export function mayPass(error: TareError, waitMs?: number): TareError {
  passing.set(error, waitMs === undefined ? {} : { waitMs });
  return error;
}

function isPassing(error: unknown): error is TareError {
  return error instanceof Error && passing.has(error);
}

export interface RetryOptions {
  readonly limits: Limits;
  readonly signal?: AbortSignal | undefined;
  /** Called before each pause, with the reason. */
  readonly onRetry?: ((reason: string) => void) | undefined;
}

/**
 * @param work is given how to say that it got further: from then on the attempts are counted anew
 * @throws what the last attempt threw
 */
export async function withRetries<T>(
  { limits, signal, onRetry }: RetryOptions,
  work: (gotFurther: () => void) => Promise<T>,
): Promise<T> {
  for (let failed = 0; ; ) {
    try {
      return await work(() => {
        failed = 0;
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (!isPassing(error) || ++failed >= limits.attempts) throw error;
      const asked = passing.get(error)?.waitMs;
      if (asked !== undefined && asked > limits.longestPauseMs) throw error;
      const usual = limits.pauseMs * 2 ** (failed - 1) * (0.5 + Math.random());
      onRetry?.(error.message);
      await sleep(Math.max(asked ?? 0, usual), undefined, { signal });
    }
  }
}

/** Seconds, or a date. undefined when it is neither. */
export function retryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(date - now, 0);
}
