/**
 * Runs one case with one runtime and says how it went. A case that differences.ts lists for the runtime must fail, and for the
 * reason written there: a difference that has gone is told like a new one.
 */
import type { Bench } from './bench.js';
import { unified } from './cgroups.js';
import { Container, ok } from './container.js';
import { DIFFERENCES } from './differences.js';
import { type Case, type Scene, Skipped, type Suite } from './suite.js';

export type Verdict =
  | { readonly as: 'passed' }
  | { readonly as: 'differs'; readonly reason: string }
  | { readonly as: 'skipped'; readonly reason: string }
  | { readonly as: 'failed'; readonly error: Error };

export async function judge(bench: Bench, suite: Suite, test: Case): Promise<Verdict> {
  const name = `${suite.name} > ${test.name}`;
  const here = unified ? 2 : 1;
  const known = DIFFERENCES.find(
    (one) => one.runtime === bench.runtime.name && one.test === name && (one.cgroups ?? here) === here,
  );
  const error = await attempt(bench, test);
  if (error instanceof Skipped) return { as: 'skipped', reason: error.message };
  if (!known) return error ? { as: 'failed', error } : { as: 'passed' };
  if (error && known.failure.test(error.message)) return { as: 'differs', reason: known.reason };
  if (!error && known.sometimes) return { as: 'passed' };
  const what = error ? `fails in another way than ${known.failure}: ${error.message}` : 'passes now';
  return { as: 'failed', error: new Error(`differences.ts lists this for ${known.runtime}, and it ${what}`) };
}

async function attempt(bench: Bench, test: Case): Promise<Error | undefined> {
  const undos: (() => unknown)[] = [];
  const scene: Scene = {
    bench,
    container: (edit, options) => {
      const container = new Container(bench, edit, options);
      undos.push(() => container.remove());
      return container;
    },
    sh: async (script, edit) => {
      const container = scene.container((config) => {
        config.process.args = ['sh', '-c', script];
        edit?.(config);
      });
      return ok(await container.run());
    },
    folder: () => bench.folder(),
    later: (undo) => undos.push(undo),
    skip: (reason) => {
      throw new Skipped(reason);
    },
  };
  let failure: Error | undefined;
  for (const step of [() => test.act(scene), () => unwind(undos)]) {
    try {
      await step();
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }
  return failure;
}

async function unwind(undos: (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  while (undos.length > 0) {
    try {
      await undos.pop()?.();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
