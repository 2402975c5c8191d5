/** What the loader takes, and the sentence for each thing that it does not. */
import { afterEach, describe, expect, it } from 'vitest';
import { listExercises, loadChecks, loadExercise, loadMutants } from '../../runtime/exercise/index.js';
import { TareError } from '../../runtime/kernel/error.js';
import { FRONT, type Sample, sampleProject } from './folder.js';

const projects: { remove(): void }[] = [];
afterEach(() => {
  for (const project of projects.splice(0)) project.remove();
});

function project(sample: Sample = {}) {
  const made = sampleProject(sample);
  projects.push(made);
  return made;
}

async function refusal(sample: Sample): Promise<TareError> {
  const { root } = project(sample);
  const error = await listExercises(root).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TareError);
  expect(error).toMatchObject({ code: 'config' });
  return error as TareError;
}

describe('an exercise', () => {
  it('is read from its folder', async () => {
    const { root, folder } = project();
    const [exercise] = await listExercises(root);
    expect(exercise).toMatchObject({ id: 'sample', chapter: 1, folder, vars: { name: ['one', 'two'] } });
    expect(exercise?.text).toBe('The text says {{name}}.');
    expect(exercise?.explanation).toBe('Why it was so.');
    expect(exercise?.tasks[0]).toMatchObject({ mode: 'edge', needs: [] });
    expect(exercise?.tasks[1]).toMatchObject({ mode: 'level', needs: ['first'], hints: [] });
  });

  const without = (name: string) => ({ ...FRONT, [name]: undefined });
  const task = (change: object) => ({ tasks: [{ ...FRONT.tasks[0], ...change }] });
  const env = (change: object) => ({ env: { ...FRONT.env, ...change } });
  it.each<[string, Sample, string]>([
    ['a missing field', { front: without('title') }, 'title: missing, or not of type string'],
    ['a field of the wrong type', { front: { minutes: 'five' } }, 'minutes: '],
    ['an unknown field', { front: { colour: 'red' } }, 'colour: no such field'],
    ['an unknown field of a task', { front: task({ hint: 'x' }) }, 'tasks[0].hint: no such field'],
    ['an unknown mode', { front: task({ mode: 'once' }) }, 'tasks[0].mode: '],
    ['no tasks', { front: { tasks: [] } }, 'tasks: '],
    ['an unknown feature', { front: env({ features: ['magic'] }) }, 'env.features[0]: '],
    ['a kernel version that is a number', { front: env({ kernelMin: 5.1 }) }, 'env.kernelMin: '],
    ['a kernel version that is none', { front: env({ kernelMin: 'new' }) }, 'env.kernelMin: must be a version'],
    ['a var with one choice', { front: { vars: { name: ['one'] } } }, 'vars.name: '],
    ['a value that a shell would read', { front: { vars: { name: ['$(reboot)', 'b'] } } }, 'vars.name[0]: may hold'],
    ['an id that is not the folder', { front: { id: 'other' } }, 'id: must be the folder’s name, sample'],
    ['a chapter that is not the folder', { front: { chapter: 2 } }, 'chapter: must be the folder’s number, 1'],
    ['a task that needs a later one', { front: task({ needs: ['second'] }) }, 'tasks[0].needs: second is not'],
    ['two tasks of one id', { front: { tasks: [FRONT.tasks[0], FRONT.tasks[0]] } }, 'tasks[1].id: there is already'],
    ['an unknown prerequisite', { front: { prerequisites: ['none'] } }, 'prerequisites: no exercise none'],
    ['a prerequisite of itself', { front: { prerequisites: ['sample'] } }, 'sample is its own prerequisite'],
    ['a var that does not exist', { body: '{{nobody}}\n\n## Explanation\n\nx\n' }, 'vars: {{nobody}} is used'],
    ['an unknown var in a script', { files: { 'setup.sh': 'echo {{x}}\n' } }, 'vars: {{x}} is used'],
    ['no explanation', { body: 'Only a text.\n' }, 'body: must be a text, then one heading'],
    ['no front matter', { text: '# Hello\n' }, 'no front matter'],
    ['broken YAML', { text: '---\nid: [\n---\nx\n' }, 'not YAML'],
    ['no setup.sh', { files: { 'setup.sh': null } }, 'setup.sh: cannot be read (ENOENT)'],
    ['no solution.sh', { files: { 'solution.sh': null } }, 'solution.sh: cannot be read (ENOENT)'],
  ])('with %s is refused, and the file and field are named', async (_, sample, sentence) => {
    const { message } = await refusal(sample);
    expect(message).toContain(sentence);
    expect(message).toContain('exercises/01-process/sample/');
  });

  it('that does not exist is an error with suggestions', async () => {
    const { root } = project();
    await expect(loadExercise('sampel', root)).rejects.toThrow('there is no exercise "sampel": did you mean sample?');
    await expect(loadExercise('zzz', root)).rejects.toThrow('see "tare exercise list"');
    await expect(loadExercise('own-rot')).rejects.toThrow('did you mean own-root?');
  });
});

describe('mutants', () => {
  it('name the check that refuses them', async () => {
    const { root } = project();
    const [mutant] = await loadMutants(await loadExercise('sample', root));
    expect(mutant).toMatchObject({ name: 'wrong', task: 'first', fault: 'not-yet' });
  });

  it.each(['true\n', '# refused-by: nobody fault: x\ntrue\n'])('without that are refused: %j', async (script) => {
    const { root } = project({ files: { 'mutants/wrong.sh': script } });
    const exercise = await loadExercise('sample', root);
    await expect(loadMutants(exercise)).rejects.toThrow('line 1 must be "# refused-by: TASK fault: FAULT"');
  });
});

describe('checks', () => {
  it('exist for each task of each exercise that ships', async () => {
    for (const exercise of await listExercises()) {
      expect(Object.keys(await loadChecks(exercise)).sort()).toEqual(exercise.tasks.map((one) => one.id).sort());
    }
  });

  it('that are missing, or for no task, are an error', async () => {
    const { root } = project({
      files: { 'check.ts': 'export default { first: async () => ({ ok: true }), third: 1 };' },
    });
    const exercise = await loadExercise('sample', root);
    await expect(loadChecks(exercise)).rejects.toThrow(
      'no check for the task second; a check for third, which is no task',
    );
  });
});
