/**
 * A library of one chapter for tests of the lab's server: its exercise is done when a file of the machine says so, and its
 * titles carry what an attacker would put there.
 */
import type { Attempt, Exercise, TaskState } from '../../runtime/exercise/types.js';
import type { Machine } from '../../runtime/vm/machine.js';
import type { Chapter, Library } from '../../web-lab/server/library.js';

export const HOSTILE = '<img src=x onerror="document.title=\'owned\'"> \u001b]0;owned\u0007 title';

export const exercise: Exercise = {
  id: 'own-name',
  title: HOSTILE,
  chapter: 1,
  minutes: 5,
  difficulty: 'easy',
  concepts: ['uts'],
  prerequisites: [],
  systems: ['runc'],
  env: { terminals: 2, features: [], kernelMin: '5.10' },
  vars: { name: ['box'] },
  tasks: [
    { id: 'named', prompt: 'Name it `{{name}}`', mode: 'level', needs: [], hints: [{ when: 'other', text: 'Think.' }] },
    { id: 'kept', prompt: 'Keep it so', mode: 'level', needs: ['named'], hints: [] },
  ],
  text: 'Give the machine the name **{{name}}**. <script>document.title = "owned"</script>',
  explanation: 'The name is now **{{name}}**.',
  folder: '/nowhere',
};

export const chapter: Chapter = {
  id: '01-names',
  number: 1,
  title: HOSTILE,
  summary: HOSTILE,
  minutes: 3,
  status: 'written',
  systems: ['barco'],
  markdown: '# Names\n\n<script>document.title = "owned"</script>\n\n```exercise own-name\n```\n',
  exercises: [exercise],
};

const planned: Chapter = {
  ...chapter,
  id: '2',
  number: 2,
  title: 'To come',
  status: 'planned',
  markdown: '',
  exercises: [],
};

export const library: Library = {
  chapters: async () => [chapter, planned],
  fill: (text, vars) => text.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => vars[name] ?? ''),
  begin: async (exercise, machine) => new FakeAttempt(exercise, machine),
};

class FakeAttempt implements Attempt {
  readonly vars = { name: 'box' };
  readonly text = library.fill(exercise.text, this.vars);
  #watchers = new Set<(tasks: readonly TaskState[]) => void>();
  #undo: () => void;

  constructor(
    readonly exercise: Exercise,
    readonly machine: Machine,
  ) {
    this.#undo = machine.onActivity(async () => {
      const tasks = await this.check();
      for (const watcher of this.#watchers) watcher(tasks);
    });
  }

  async check(): Promise<readonly TaskState[]> {
    const name = await this.machine.readFile('/name').then(String, () => 'machine');
    if (name === 'box')
      return [
        { id: 'named', state: 'done', verdict: { ok: true } },
        { id: 'kept', state: 'done' },
      ];
    const where = '/proc/sys/kernel/hostname';
    const verdict = { ok: false, fault: 'other', says: `the name is ${name}`, where, expected: 'box' } as const;
    return [
      { id: 'named', state: 'open', verdict, hint: 'Think.' },
      { id: 'kept', state: 'waiting' },
    ];
  }

  watch(listener: (tasks: readonly TaskState[]) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async solution(): Promise<string> {
    return 'hostname box\n';
  }

  async solve(terminal?: { write(text: string): void }): Promise<void> {
    terminal?.write(await this.solution());
    await this.machine.writeFile('/name', 'box');
  }

  close(): void {
    this.#undo();
    this.#watchers.clear();
  }
}
