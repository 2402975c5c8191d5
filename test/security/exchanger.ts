/** Somebody who exchanges a directory and a link all the time: exchange.c, compiled once, run beside what it attacks. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** While `act` runs, `one` and `other` (both in the same file system) change places. */
export async function whileExchanging<T>(one: string, other: string, act: () => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-exchange-'));
  const program = join(folder, 'exchange');
  execFileSync('cc', ['-O2', '-Wall', '-o', program, join(import.meta.dirname, 'exchange.c')]);
  const child = spawn(program, [one, other], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const stop = async () => {
    child.stdin?.end();
    const status = await ended;
    rmSync(folder, { recursive: true });
    return status;
  };
  const result = await act().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const status = await stop();
  if (status !== 0) throw new Error(`the names could not be exchanged any more: status ${status}`);
  return result;
}
