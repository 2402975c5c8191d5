/** A small exercise on disk, whole and right, from which a test breaks one thing. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';

export const FRONT = {
  id: 'sample',
  title: 'A sample',
  chapter: 1,
  minutes: 5,
  difficulty: 'easy',
  concepts: ['process'],
  prerequisites: [] as string[],
  systems: [] as string[],
  env: { terminals: 1, features: ['pid-namespaces'], kernelMin: '4.1' },
  vars: { name: ['one', 'two'] },
  tasks: [
    { id: 'first', prompt: 'Do {{name}}.', mode: 'edge', hints: [{ when: 'not-yet', text: 'Try {{name}}.' }] },
    { id: 'second', prompt: 'Then this.', mode: 'level', needs: ['first'] },
  ] as Record<string, unknown>[],
};
export const BODY = 'The text says {{name}}.\n\n## Explanation\n\nWhy it was so.\n';

export interface Sample {
  readonly front?: Record<string, unknown>;
  readonly body?: string;
  /** Instead of the whole of exercise.md. */
  readonly text?: string;
  readonly files?: Readonly<Record<string, string | null>>;
}

/** Makes a project with one exercise. Returns its root; `remove` takes it away. */
export function sampleProject(sample: Sample = {}): { root: string; folder: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'tare-exercise-'));
  const folder = join(root, 'exercises', '01-process', 'sample');
  mkdirSync(join(folder, 'mutants'), { recursive: true });
  const front = stringify({ ...FRONT, ...sample.front });
  const files: Record<string, string | null> = {
    'exercise.md': sample.text ?? `---\n${front}---\n\n${sample.body ?? BODY}`,
    'setup.sh': 'true\n',
    'solution.sh': 'echo {{name}}\n',
    'mutants/wrong.sh': '# refused-by: first fault: not-yet\ntrue\n',
    ...sample.files,
  };
  for (const [name, content] of Object.entries(files)) if (content !== null) writeFileSync(join(folder, name), content);
  return { root, folder, remove: () => rmSync(root, { recursive: true }) };
}
