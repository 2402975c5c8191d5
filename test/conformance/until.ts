/** Waiting for what no file descriptor tells: asks again until it is so. The limit is there to end, not to measure. */
export async function until(is: () => boolean | Promise<boolean>, what = String(is)): Promise<void> {
  const began = Date.now();
  while (!(await is())) {
    if (Date.now() - began > 20_000) throw new Error(`still not so after 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
