/** The lesson: its text, its exercises where they stand in it, and the way to the next chapter. */
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { ChapterView } from '../../../protocol.js';
import { Icon } from '../icons.js';
import { readChapter } from '../lab.js';
import { renderLesson } from '../markdown.js';
import { chapterPath, Link } from '../router.js';
import { codeButtons } from './code.js';
import { ExerciseCard } from './exercise.js';

export function Lesson({ chapter, onTerminal }: { chapter: ChapterView; onTerminal: () => void }) {
  const parts = useMemo(() => renderLesson(chapter.markdown), [chapter.markdown]);
  const exercises = chapter.exercises;
  const placed = new Set(parts.map((part) => (part.kind === 'exercise' ? part.id : '')));
  const card = (id: string) => {
    const exercise = exercises.find((exercise) => exercise.id === id);
    return exercise && <ExerciseCard key={id} exercise={exercise} chapter={chapter.id} />;
  };
  return (
    // The code blocks' buttons are part of rendered Markdown: one listener serves them all, and buttons turn keys into clicks.
    // biome-ignore lint/a11y/useKeyWithClickEvents: see above
    <article class="lesson" onClick={codeButtons(onTerminal)}>
      <header class="lesson-head">
        <p class="eyebrow">Chapter {chapter.number}</p>
        <h1>{chapter.title}</h1>
        <p class="lesson-facts">
          {chapter.minutes} min of reading · {exercises.length} {exercises.length === 1 ? 'exercise' : 'exercises'}
          {chapter.systems.length > 0 && <> · explains {chapter.systems.join(', ')}</>}
        </p>
      </header>
      {parts.map((part, index) =>
        part.kind === 'exercise' ? (
          card(part.id)
        ) : (
          <div class="prose" key={index} dangerouslySetInnerHTML={{ __html: part.html }} />
        ),
      )}
      {exercises.filter(({ id }) => !placed.has(id)).map(({ id }) => card(id))}
      <LessonEnd chapter={chapter} />
    </article>
  );
}

/** The end of the lesson; to have seen it is to have read the chapter. */
function LessonEnd({ chapter }: { chapter: ChapterView }) {
  const end = useRef<HTMLElement>(null);
  useEffect(() => {
    const seen = new IntersectionObserver(([entry]) => {
      if (!entry?.isIntersecting) return;
      readChapter(chapter.id);
      seen.disconnect();
    });
    if (end.current) seen.observe(end.current);
    return () => seen.disconnect();
  }, [chapter.id]);
  const { previous, next } = chapter;
  return (
    <nav class="lesson-end" aria-label="Other chapters" ref={end}>
      {previous ? (
        <Link href={chapterPath(previous.id)} class="lesson-link">
          <span>
            <Icon name="previous" /> Chapter {previous.number}
          </span>
          {previous.title}
        </Link>
      ) : (
        <span />
      )}
      <Link href={next ? chapterPath(next.id) : '/'} class="lesson-link next">
        <span>
          {next ? `Chapter ${next.number}` : 'To the list'} <Icon name="next" />
        </span>
        {next ? next.title : 'All chapters'}
      </Link>
    </nav>
  );
}
