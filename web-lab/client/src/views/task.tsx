/** A task: what it asks, whether it holds, and, while it does not, what the kernel shows, where, and what was expected. */
import { useEffect, useState } from 'preact/hooks';
import type { TaskView } from '../../../protocol.js';
import { Icon } from '../icons.js';
import { renderInline } from '../markdown.js';

const STATES: Readonly<Record<TaskView['state'], string>> = {
  waiting: 'Not yet',
  open: 'To do',
  done: 'Done',
  blocked: 'Blocked: this machine lacks what it needs',
};

export function TaskItem({ prompt, state, verdict, hint }: Omit<TaskView, 'id'>) {
  return (
    <li class={`task ${state}`}>
      <span class="task-mark" aria-hidden="true">
        {state === 'done' && <Icon name="check" />}
      </span>
      <div class="task-body">
        <p class="task-prompt">
          <span class="visually-hidden">{STATES[state]}: </span>
          <Inline text={prompt} />
        </p>
        {state === 'done' && verdict?.ok && verdict.says && <p class="task-says">{verdict.says}</p>}
        {state !== 'done' && verdict?.ok === false && (
          <dl class="verdict">
            <dt>The kernel shows</dt>
            <dd>{verdict.says}</dd>
            <dt>Where</dt>
            <dd>
              <code>{verdict.where}</code>
            </dd>
            <dt>Expected</dt>
            <dd>{verdict.expected}</dd>
          </dl>
        )}
        {state !== 'done' && hint && <Hint text={hint} />}
      </div>
    </li>
  );
}

function Hint({ text }: { text: string }) {
  const [shown, setShown] = useState(false);
  // Another fault has another hint, to be asked for again.
  useEffect(() => setShown(false), [text]);
  if (!shown) {
    return (
      <button type="button" class="hint-button" onClick={() => setShown(true)}>
        <Icon name="bulb" /> Give me a hint
      </button>
    );
  }
  return (
    <p class="hint" role="status">
      <Icon name="bulb" />
      <Inline text={text} />
    </p>
  );
}

function Inline({ text }: { text: string }) {
  return <span class="inline" dangerouslySetInnerHTML={{ __html: renderInline(text) }} />;
}
