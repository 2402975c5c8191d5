/** A chapter: the lesson beside the terminals, with a line between them that can be moved; one or the other where it is narrow. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ChapterView } from '../../../protocol.js';
import { getChapter } from '../api.js';
import { Icon } from '../icons.js';
import { activeTab, checkNow, lab, openChapter } from '../lab.js';
import { shown } from '../router.js';
import { useStore } from '../store.js';
import { Lesson } from './lesson.js';
import { Notice } from './notice.js';
import { Split } from './split.js';
import { TerminalPane } from './terminal-pane.js';

export type Pane = 'lesson' | 'terminal';

export function ChapterPage({ id }: { id: string }) {
  const [chapter, setChapter] = useState<ChapterView>();
  const [failure, setFailure] = useState<string>();
  const [pane, setPane] = useState<Pane>('lesson');
  const frame = useRef<HTMLDivElement>(null);

  useEffect(() => {
    // The machine is asked for at once: it starts while the lesson is being fetched and drawn.
    openChapter(id);
    getChapter(id).then(
      (view) => {
        document.title = `${view.number}. ${view.title} · Tare`;
        lab.set({ progress: view.progress });
        setChapter(view);
        shown.set({ chapter: view });
      },
      (error: Error) => setFailure(error.message),
    );
  }, [id]);

  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if (event.key === 'F6') {
        event.preventDefault();
        const inTerminal = frame.current?.querySelector('.terminal-pane')?.contains(document.activeElement);
        setPane(inTerminal ? 'lesson' : 'terminal');
        if (inTerminal) document.getElementById('main')?.focus();
        // A pane that was not shown can take the focus only once it is.
        else requestAnimationFrame(() => focusTerminal());
      }
      if (event.key === 'F8') {
        event.preventDefault();
        checkNow();
      }
    };
    addEventListener('keydown', keys);
    return () => removeEventListener('keydown', keys);
  }, []);

  if (failure) {
    return (
      <main id="main" class="list" tabIndex={-1}>
        <Notice kind="error">{failure}</Notice>
      </main>
    );
  }
  return (
    <div class="chapter-page" data-pane={pane} ref={frame}>
      <Split
        left={
          <main id="main" class="lesson-pane" tabIndex={-1}>
            {chapter ? <Lesson chapter={chapter} onTerminal={() => setPane('terminal')} /> : <LessonSkeleton />}
          </main>
        }
        right={<TerminalPane />}
      />
      <PaneSwitch pane={pane} onChange={setPane} />
    </div>
  );
}

function PaneSwitch({ pane, onChange }: { pane: Pane; onChange: (pane: Pane) => void }) {
  const { attempt } = useStore(lab);
  const done = attempt?.tasks.filter(({ state }) => state === 'done').length ?? 0;
  const choose = (wanted: Pane) => () => {
    onChange(wanted);
    if (wanted === 'terminal') requestAnimationFrame(() => focusTerminal());
  };
  return (
    <nav class="pane-switch" aria-label="Lesson or terminal">
      <button type="button" aria-pressed={pane === 'lesson'} onClick={choose('lesson')}>
        <Icon name="book" /> Lesson
        {attempt && attempt.tasks.length > 0 && (
          <span class="pane-badge">
            {done}/{attempt.tasks.length}
            <span class="visually-hidden"> tasks done</span>
          </span>
        )}
      </button>
      <button type="button" aria-pressed={pane === 'terminal'} onClick={choose('terminal')}>
        <Icon name="terminal" /> Terminal
      </button>
    </nav>
  );
}

function focusTerminal(): void {
  const tab = activeTab();
  if (tab) tab.terminal.focus();
  else document.querySelector<HTMLElement>('.terminal-pane button:not([disabled])')?.focus();
}

function LessonSkeleton() {
  return (
    <div class="lesson skeleton" aria-busy="true">
      <p class="visually-hidden">The lesson is being fetched.</p>
    </div>
  );
}
