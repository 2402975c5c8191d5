/**
 * A TypeScript program of the tests as a process of its own, which can be killed: bundled beside Tare's packages, so that it finds them and the native
 * programs as Tare itself does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'rolldown';
import { packageRoot } from '../../../runtime/kernel/places.js';

export interface Program extends Disposable {
  /** Its standard output and error are pipes. */
  start(...words: readonly string[]): ChildProcess;
  /** The same in a user namespace of its own, where the caller alone is mapped, as root. */
  startInUserNamespace(...words: readonly string[]): ChildProcess;
}

/** @param source the path of the program, from the root of the package */
export async function buildProgram(source: string): Promise<Program> {
  const parent = join(packageRoot(), 'node_modules', '.cache');
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'tare-test-'));
  const file = join(folder, 'program.mjs');
  await build({
    input: join(packageRoot(), source),
    platform: 'node',
    external: ['better-sqlite3'],
    transform: { target: 'node20' },
    output: { file, format: 'esm', codeSplitting: false },
    logLevel: 'silent',
  });
  const run = (command: string, words: readonly string[]) =>
    spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  return {
    start: (...words) => run(process.execPath, [file, ...words]),
    startInUserNamespace: (...words) => run('unshare', ['--user', '--map-root-user', process.execPath, file, ...words]),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What it has said when it has ended. */
export async function endOf(
  child: ChildProcess,
): Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string }> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, output }));
  });
}
