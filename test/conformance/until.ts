/** Waiting for what no file descriptor tells: asks again until it is so. The limit is there to end, not to measure. */

/** How long anything may take, in ms. An emulated machine needs more: $CONFORMANCE_PATIENCE is in seconds. */
export const PATIENCE_MS = 1000 * Number(process.env.CONFORMANCE_PATIENCE ?? 60);

export async function until(is: () => boolean | Promise<boolean>, what = String(is)): Promise<void> {
  const began = Date.now();
  while (!(await is())) {
    if (Date.now() - began > PATIENCE_MS) throw new Error(`still not so after ${PATIENCE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
