/**
 * Signals that a foreground command passes on to its program: more than those that people send, and not what is about the runtime itself
 * (its children, its pipes, its faults). signal(7).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, ok } from './container.js';
import { until } from './until.js';

/** By number: HUP INT QUIT ABRT USR1 USR2 ALRM TERM CONT TSTP XCPU VTALRM IO PWR, and of the real-time ones. */
export const PASSED_ON: readonly number[] = [1, 2, 3, 6, 10, 12, 14, 15, 18, 20, 24, 26, 29, 30, 37, 64];

/** A script that writes down each signal that it gets, once it has said that it is ready. */
export function telling(signals: readonly number[]): string {
  const traps = signals.map((signal) => `trap 'echo ${signal} >> /got' ${signal}`).join('; ');
  return `${traps}; echo ready > /got; while :; do sleep 0.05; done`;
}

/** Sends them to the command whose words end so, one after the other. */
export async function signalled(it: Container, words: string, signals: readonly number[]): Promise<void> {
  const got = () => (existsSync(join(it.rootfs, 'got')) ? it.read('got').split('\n') : []);
  await until(() => got().includes('ready'));
  const [pid = ''] = ok(await it.bench.run(['pgrep', '-f', words])).split('\n');
  for (const signal of signals) {
    ok(await it.bench.run(['kill', `-${signal}`, pid]));
    await until(() => got().includes(String(signal)), `signal ${signal} arrives`);
  }
}
