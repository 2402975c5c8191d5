/** An exercise: before it is started, while its tasks watch the machine, and once they are all done. */
import type { AttemptView, ExerciseView } from '../../../protocol.js';
import { Icon } from '../icons.js';
import { checkNow, hideSolution, lab, runSolution, showSolution, startExercise } from '../lab.js';
import { highlight, renderMarkdown } from '../markdown.js';
import { useStore } from '../store.js';
import { TaskItem } from './task.js';

export function ExerciseCard({ exercise, chapter }: { exercise: ExerciseView; chapter: string }) {
  const { attempt, progress, machine } = useStore(lab);
  const mine = attempt?.exercise === exercise.id && attempt.chapter === chapter ? attempt : undefined;
  const before = progress.exercises[exercise.id];
  const title = `exercise-${exercise.id}`;
  const state = mine?.state ?? (before?.done ? 'solved' : 'new');
  return (
    <section class={`exercise ${state}`} aria-labelledby={title}>
      <header class="exercise-head">
        <p class="eyebrow">
          Exercise
          <span class={`difficulty ${exercise.difficulty}`}>{exercise.difficulty}</span>
          <span>{exercise.minutes} min</span>
        </p>
        {(mine?.state === 'done' || before?.done) && (
          <span class="solved">
            <Icon name="check" /> Solved
          </span>
        )}
      </header>
      <h3 id={title}>{exercise.title}</h3>
      {mine && mine.state !== 'preparing' ? (
        <Running exercise={exercise} attempt={mine} />
      ) : (
        <>
          <ExerciseText text={withBlanks(exercise.text)} />
          <ol class="tasks preview">
            {exercise.tasks.map((task) => (
              <TaskItem
                key={task.id}
                prompt={withBlanks(task.prompt)}
                state={before?.tasks.includes(task.id) ? 'done' : 'waiting'}
              />
            ))}
          </ol>
          <div class="exercise-actions">
            <button
              type="button"
              class="button primary"
              onClick={() => startExercise(exercise.id, exercise.terminals)}
              disabled={machine.state === 'starting'}
            >
              <Icon name="play" />
              {mine ? 'Preparing…' : before?.done ? 'Do it again' : 'Start the exercise'}
            </button>
            <span class="aside">
              It starts in a fresh machine{exercise.terminals > 1 ? ` with ${exercise.terminals} terminals` : ''}.
            </span>
          </div>
        </>
      )}
    </section>
  );
}

function Running({ exercise, attempt }: { exercise: ExerciseView; attempt: AttemptView }) {
  const { machine, solution } = useStore(lab);
  const shown = solution?.exercise === exercise.id ? solution.text : undefined;
  const done = attempt.tasks.filter(({ state }) => state === 'done').length;
  return (
    <>
      <ExerciseText text={attempt.text} />
      <p class="tasks-count" id={`count-${exercise.id}`}>
        {done} of {attempt.tasks.length} tasks done
      </p>
      <ol class="tasks" aria-describedby={`count-${exercise.id}`}>
        {attempt.tasks.map((task) => (
          <TaskItem key={task.id} {...task} />
        ))}
      </ol>
      {attempt.state === 'done' && (
        <div class="explanation">
          <h4>
            <Icon name="check" /> Done. What happened
          </h4>
          <div class="prose" dangerouslySetInnerHTML={{ __html: renderMarkdown(attempt.explanation ?? '') }} />
        </div>
      )}
      <div class="exercise-actions">
        <button type="button" class="button" onClick={checkNow}>
          <Icon name="check" /> Check now <kbd>F8</kbd>
        </button>
        <button
          type="button"
          class="button"
          disabled={machine.state === 'starting'}
          onClick={() => startExercise(exercise.id, exercise.terminals)}
        >
          <Icon name="reset" /> Reset
        </button>
        <button
          type="button"
          class="button"
          aria-expanded={shown !== undefined}
          onClick={shown === undefined ? showSolution : hideSolution}
        >
          <Icon name="eye" /> {shown === undefined ? 'Show the solution' : 'Hide the solution'}
        </button>
      </div>
      {shown !== undefined && <Solution text={shown} />}
    </>
  );
}

function Solution({ text }: { text: string }) {
  const { solving } = useStore(lab);
  return (
    <figure class="code code-runs solution">
      <figcaption>
        <span class="code-label">One solution</span>
        <button type="button" class="code-button code-run" onClick={runSolution} disabled={solving}>
          {solving ? 'Running…' : 'Run it'}
        </button>
        <button type="button" class="code-button" data-code="copy">
          Copy
        </button>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre tabIndex={0}>
        <code dangerouslySetInnerHTML={{ __html: highlight(text.trimEnd(), 'bash') }} />
      </pre>
    </figure>
  );
}

function ExerciseText({ text }: { text: string }) {
  return <div class="prose" dangerouslySetInnerHTML={{ __html: renderMarkdown(text) }} />;
}

/** Values are drawn when the exercise starts; until then their places are shown. */
function withBlanks(text: string): string {
  return text.replace(/\{\{\s*([^{}]*?)\s*\}\}/g, '‹$1›');
}
