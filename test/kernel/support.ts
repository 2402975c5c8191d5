/** What the tests of the kernel floor share: counting descriptors, and temporary folders. */
import { mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';

export function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Runs `act`, and fails when it leaves more or fewer descriptors open than there were. */
export function withoutLeak<T>(act: () => T): T {
  const before = openFds();
  const result = act();
  expect(openFds(), 'open descriptors').toBe(before);
  return result;
}

/** A folder of this test's own, removed afterwards. */
export async function withFolder<T>(act: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tare-kernel-')));
  try {
    return await act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The TareError that `act` throws. */
export function failureOf(act: () => unknown): TareError {
  try {
    act();
  } catch (error) {
    if (error instanceof TareError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
