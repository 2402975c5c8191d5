/** The proofs of a chapter's exercises as tests, in real virtual machines, each proof in fresh ones. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listExercises, proofsOf } from '../../runtime/exercise/index.js';
import { createProvider, type MachineProvider } from '../../runtime/vm/index.js';

/** Declares them. A file for each chapter, so that chapters are proved side by side. */
export async function proveChapter(number: number): Promise<void> {
  const exercises = (await listExercises()).filter(({ chapter }) => chapter === number);
  const proofs = await Promise.all(exercises.map(async (exercise) => ({ exercise, list: await proofsOf(exercise) })));

  let provider: MachineProvider;
  beforeAll(async () => {
    provider = await createProvider();
  }, 600_000);
  afterAll(async () => {
    // Each proof has ended its machines, whatever came of it.
    expect(provider.usage.machines).toBe(0);
    await provider.close();
  });

  describe.each(proofs)('$exercise.id', ({ exercise, list }) => {
    it('has three mutants or more, and hints for every task', () => {
      expect(list.filter((proof) => proof.name.startsWith('mutant')).length).toBeGreaterThanOrEqual(3);
      expect(exercise.tasks.every((task) => task.hints.length > 0)).toBe(true);
    });

    it.each(list)('$name', { timeout: 180_000 }, async (proof) => {
      await proof.run(provider);
    });
  });
}
