/** Several at a time, and no more; the first failure ends the others. */

/** @param work gets a signal that comes when another has failed, or `signal` came @throws what failed first, once all have ended */
export async function inParallel<T>(
  items: Iterable<T>,
  most: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const ours = new AbortController();
  const stop = AbortSignal.any([ours.signal, ...(signal ? [signal] : [])]);
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined && !stop.aborted; item = queue.shift()) {
      try {
        await work(item, stop);
      } catch (error) {
        failure ??= { error };
        ours.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, queue.length) }, worker));
  signal?.throwIfAborted();
  if (failure) throw failure.error;
}
