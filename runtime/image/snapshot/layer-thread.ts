/**
 * The program of a thread that applies layers, one at a time: it is told of each by a message, and answers with what has become of it. It shares the
 * process's descriptors, and nothing else: not the store, not its locks. layer-threads.ts is its other side.
 */
import { parentPort } from 'node:worker_threads';
import { TareError } from '../../kernel/error.js';
import { type AppliedBlob, applyBlob, type LayerRequest } from './apply-blob.js';
import { type PackedError, packError } from './packed-error.js';

export type ToThread = LayerRequest | 'stop';
export type FromThread =
  | { readonly bytes: number }
  | { readonly applied: AppliedBlob }
  | { readonly failed: PackedError };

if (!parentPort) throw new TareError('internal', 'this is the program of a thread, and was started by itself');
const port = parentPort;
let current: AbortController | undefined;

port.on('message', (message: ToThread) => {
  if (message === 'stop') current?.abort();
  else void apply(message);
});

async function apply(request: LayerRequest): Promise<void> {
  const tell = (message: FromThread) => port.postMessage(message);
  current = new AbortController();
  try {
    tell({ applied: await applyBlob(request, { signal: current.signal, onBytes: (bytes) => tell({ bytes }) }) });
  } catch (error) {
    tell({ failed: packError(error) });
  } finally {
    current = undefined;
  }
}
