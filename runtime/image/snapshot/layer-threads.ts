/**
 * Layers applied in threads of their own, so that two large ones are unpacked on two cores: most of the work is that of the kernel, which makes files for
 * whoever asks, one call at a time. A thread costs a start of some 40 ms, so small layers are not worth one.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { TareError } from '../../kernel/error.js';
import { packageRoot } from '../../kernel/places.js';
import type { AppliedBlob, ApplyBlobOptions, LayerRequest } from './apply-blob.js';
import type { FromThread, ToThread } from './layer-thread.js';
import { packError, unpackError } from './packed-error.js';

/** Disposed of when none is at work any more. */
export class LayerThreads implements Disposable {
  readonly #idle: Worker[] = [];

  /** As `applyBlob`: whether it succeeds or not, the thread touches the folder no more when this is over. */
  async apply(request: LayerRequest, options: ApplyBlobOptions): Promise<AppliedBlob> {
    const thread = this.#idle.pop() ?? startThread();
    const answer = await ask(thread, request, options);
    this.#idle.push(thread);
    if ('failed' in answer) {
      options.signal?.throwIfAborted();
      throw unpackError(answer.failed);
    }
    return answer.applied;
  }

  [Symbol.dispose](): void {
    for (const thread of this.#idle.splice(0)) void thread.terminate();
  }
}

function startThread(): Worker {
  // A file of the bundle, also for tests that run from the sources: threads load no TypeScript.
  return new Worker(join(packageRoot(), 'dist', 'cli', 'layer-thread.js'), { name: 'layer', execArgv: [] });
}

type Answer = Exclude<FromThread, { readonly bytes: number }>;

/** @throws when the thread ends without an answer: for want of memory */
function ask(thread: Worker, request: LayerRequest, { signal, onBytes }: ApplyBlobOptions): Promise<Answer> {
  const say = (message: ToThread) => thread.postMessage(message);
  return new Promise<Answer>((resolve, reject) => {
    const stop = () => say('stop');
    const over = () => {
      signal?.removeEventListener('abort', stop);
      thread.off('message', heard).off('error', failed).off('exit', ended);
    };
    let refusal: { readonly reason: unknown } | undefined;
    const heard = (message: FromThread) => {
      if ('bytes' in message) {
        try {
          return onBytes?.(message.bytes);
        } catch (reason) {
          refusal = { reason };
          return stop();
        }
      }
      over();
      resolve(refusal ? { failed: packError(refusal.reason) } : message);
    };
    // After an error the thread ends, and not before that are its descriptors out of use.
    let cause: unknown;
    const failed = (error: unknown) => {
      cause = error;
    };
    const ended = () => {
      over();
      const why = cause instanceof Error ? `: ${cause.message}` : '';
      reject(new TareError('internal', `the thread that unpacks the layer has ended${why}`, { cause }));
    };
    thread.on('message', heard).on('error', failed).on('exit', ended);
    signal?.addEventListener('abort', stop, { once: true });
    say(request);
    if (signal?.aborted) stop();
  });
}
