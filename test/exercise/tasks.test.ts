/** The rules of tasks: edge and level, needs, hints, and what blocks. */
import { describe, expect, it } from 'vitest';
import { allDone, nextStates } from '../../runtime/exercise/tasks.js';
import type { Task, TaskState, Verdict } from '../../runtime/exercise/types.js';

const TASKS: readonly Task[] = [
  { id: 'once', prompt: 'a', mode: 'edge', needs: [], hints: [{ when: 'cold', text: 'warm {{it}}' }] },
  { id: 'always', prompt: 'b', mode: 'level', needs: [], hints: [] },
  { id: 'last', prompt: 'c', mode: 'level', needs: ['once', 'always'], hints: [] },
];
const refuse = (fault: string): Verdict => ({ ok: false, fault, says: 's', where: 'w', expected: 'e' });

/** Runs the checks with these tasks holding; the others fail with the fault `cold`. */
async function run(
  holding: readonly string[],
  before: readonly TaskState[] = [],
  more: { hidden?: Verdict; missing?: string[] } = {},
) {
  const asked: string[] = [];
  const states = await nextStates(TASKS, before, {
    missing: more.missing ?? [],
    fresh: async () => more.hidden,
    verdict: async (id) => {
      asked.push(id);
      return holding.includes(id) ? { ok: true } : refuse('cold');
    },
    hint: (text) => text.replace('{{it}}', 'up'),
  });
  return { asked, states, names: states.map(({ state }) => state) };
}

describe('tasks', () => {
  it('wait until what they need is done, and are not asked before', async () => {
    expect(await run([])).toMatchObject({ names: ['open', 'open', 'waiting'], asked: ['once', 'always'] });
    expect(await run(['once'])).toMatchObject({ names: ['done', 'open', 'waiting'] });
    const all = await run(['once', 'always', 'last']);
    expect(all.names).toEqual(['done', 'done', 'done']);
    expect(allDone(all.states)).toBe(true);
  });

  it('of mode edge stay done, and are not asked again', async () => {
    const first = await run(['once', 'always']);
    expect(await run(['always'], first.states)).toMatchObject({
      names: ['done', 'done', 'open'],
      asked: ['always', 'last'],
    });
  });

  it('of mode level are done only while they hold, and take with them what needs them', async () => {
    const first = await run(['once', 'always', 'last']);
    const next = await run(['last'], first.states);
    expect(next.names).toEqual(['done', 'open', 'waiting']);
    expect(allDone(next.states)).toBe(false);
  });

  it('give the hint for their fault, with vars filled in, and none for a fault without one', async () => {
    const { states } = await run([]);
    expect(states[0]).toMatchObject({ hint: 'warm up', verdict: { fault: 'cold' } });
    expect(states[1]?.hint).toBeUndefined();
  });

  it('are all open with one fault when the machine cannot be looked at', async () => {
    const { states, asked } = await run(['once', 'always'], [], { hidden: refuse('proc-hidden') });
    expect(asked).toEqual([]);
    expect(states[0]).toMatchObject({ state: 'open', verdict: { fault: 'proc-hidden' } });
    expect(states[0]?.hint).toContain('umount /proc');
  });

  it('are blocked, never done, when a feature is missing', async () => {
    const { states, asked } = await run(['once', 'always', 'last'], [], { missing: ['no time namespaces'] });
    expect(asked).toEqual([]);
    expect(states.every((state) => state.state === 'blocked')).toBe(true);
    expect(states[0]?.verdict).toMatchObject({ ok: false, says: 'no time namespaces' });
  });

  it('are never all done when there are none', () => {
    expect(allDone([])).toBe(false);
  });
});
