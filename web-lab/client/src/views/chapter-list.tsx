/** The first page: what this is, how far one has come, and the road of chapters. */
import { useEffect, useState } from 'preact/hooks';
import type { ChapterListView, ChapterSummaryView, ProgressView } from '../../../protocol.js';
import { clearProgress, getChapters } from '../api.js';
import { Icon } from '../icons.js';
import { chapterPath, Link } from '../router.js';
import { Notice } from './notice.js';

export function ChapterList() {
  const [view, setView] = useState<ChapterListView>();
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    document.title = 'Tare: build a container runtime';
    getChapters().then(setView, (error: Error) => setFailure(error.message));
  }, []);
  const forget = () => {
    if (!confirm('Forget which tasks and chapters are done?')) return;
    clearProgress().then(
      (progress) => view && setView({ ...view, progress }),
      (error: Error) => setFailure(error.message),
    );
  };
  const written = view?.chapters.filter(({ status }) => status === 'written') ?? [];
  const planned = view?.chapters.filter(({ status }) => status === 'planned') ?? [];
  return (
    <main id="main" class="list" tabIndex={-1}>
      <section class="intro">
        <p class="eyebrow">Tare, the weight of an empty container</p>
        <h1>Build a container runtime, one system call at a time</h1>
        <p class="lead">
          Read a chapter on the left, work in a machine of your own on the right. The tasks watch the kernel of that
          machine, and turn green when it shows what they ask for.
        </p>
        {view && <Resume chapters={written} progress={view.progress} />}
      </section>
      {failure && <Notice kind="error">{failure}</Notice>}
      {view?.notice && <Notice kind="warning">{view.notice}</Notice>}
      {written.length > 0 && view && (
        <section aria-labelledby="chapters-title">
          <h2 id="chapters-title" class="section-title">
            Chapters
          </h2>
          <ol class="chapters">
            {written.map((chapter) => (
              <ChapterCard key={chapter.id} chapter={chapter} progress={view.progress} />
            ))}
          </ol>
        </section>
      )}
      {planned.length > 0 && (
        <section aria-labelledby="planned-title">
          <h2 id="planned-title" class="section-title">
            Still to be written
          </h2>
          <ol class="planned">
            {planned.map(({ id, number, title, summary }) => (
              <li key={id}>
                <span class="planned-number">{number}</span>
                <span>
                  <strong>{title}</strong> <span class="planned-summary">{summary}</span>
                </span>
              </li>
            ))}
          </ol>
        </section>
      )}
      {view && Object.keys(view.progress.exercises).length > 0 && (
        <p class="forget">
          <button type="button" class="link-button" onClick={forget}>
            Forget my progress
          </button>
        </p>
      )}
    </main>
  );
}

function Resume({ chapters, progress }: { chapters: readonly ChapterSummaryView[]; progress: ProgressView }) {
  const latest = chapters
    .filter(({ id }) => progress.chapters[id])
    .sort((a, b) => (progress.chapters[b.id]?.opened ?? '').localeCompare(progress.chapters[a.id]?.opened ?? ''))[0];
  const chapter = latest ?? chapters[0];
  if (!chapter) return null;
  return (
    <Link href={chapterPath(chapter.id)} class="button primary large">
      {latest ? `Go on with chapter ${chapter.number}` : 'Start with chapter 1'}
      <Icon name="next" />
    </Link>
  );
}

function ChapterCard({ chapter, progress }: { chapter: ChapterSummaryView; progress: ProgressView }) {
  const done = chapter.exercises.filter(({ id }) => progress.exercises[id]?.done).length;
  const all = chapter.exercises.length;
  const state = all > 0 && done === all ? 'done' : progress.chapters[chapter.id] ? 'begun' : 'new';
  return (
    <li class={`chapter-card ${state}`}>
      <span class="chapter-number" aria-hidden="true">
        {chapter.number}
      </span>
      <div class="chapter-text">
        <h3>
          <Link href={chapterPath(chapter.id)}>{chapter.title}</Link>
        </h3>
        <p>{chapter.summary}</p>
        <p class="chapter-facts">
          <span>{chapter.minutes} min of reading</span>
          {chapter.systems.length > 0 && <span>Explains {chapter.systems.join(', ')}</span>}
        </p>
      </div>
      {all > 0 && (
        <div class="chapter-progress">
          <span class="pips" aria-hidden="true">
            {chapter.exercises.map(({ id, tasks }) => {
              const known = progress.exercises[id];
              const share = known?.done ? 'full' : known?.tasks.length && tasks > 0 ? 'part' : 'none';
              return <span key={id} class={`pip ${share}`} />;
            })}
          </span>
          <span class="pips-text">
            {done} of {all} exercises
          </span>
        </div>
      )}
    </li>
  );
}
