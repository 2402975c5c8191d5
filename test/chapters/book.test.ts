/** The book as it ships: every chapter loads, every listing is found, and every exercise has its place. */
import { describe, expect, it } from 'vitest';
import { listChapters, listExercises, loadLesson } from '../../runtime/exercise/index.js';

describe('the book', () => {
  it('has all chapters of the road, each once, and says which are not written', async () => {
    const chapters = await listChapters();
    expect(chapters.map((chapter) => chapter.number)).toEqual(Array.from({ length: 22 }, (_, index) => index + 1));
    const written = chapters.filter((chapter) => chapter.status === 'written').map((chapter) => chapter.number);
    expect(written).toEqual(expect.arrayContaining([1, 3, 5]));
    for (const chapter of chapters) expect(chapter.folder !== undefined).toBe(chapter.status === 'written');
  });

  it('refuses to open a chapter that is not written, or does not exist', async () => {
    await expect(loadLesson(2)).rejects.toThrow('chapter 2, "chroot and its escape", is not written yet');
    await expect(loadLesson(40)).rejects.toThrow('there is no chapter 40');
  });

  it('has at least seven exercises in chapters 1, 3 and 5', async () => {
    const exercises = (await listExercises()).filter(({ chapter }) => [1, 3, 5].includes(chapter));
    expect(exercises.length).toBeGreaterThanOrEqual(7);
  });
});

describe.each([1, 3, 5])('chapter %i', (number) => {
  it('takes about a quarter of an hour to read', async () => {
    const { markdown, minutes } = await loadLesson(number);
    const words = markdown.replace(/^```[\s\S]*?^```/gm, '').split(/\s+/).length;
    expect(minutes).toBe(15);
    expect(words).toBeGreaterThan(1200);
    expect(words).toBeLessThan(3000);
  });

  it('shows listings of the source that runs, with their lines', async () => {
    const { markdown } = await loadLesson(number);
    const listings = [...markdown.matchAll(/^```[a-z]+ file=(\S+) region=\S+ lines=(\d+)-(\d+)\n(.+)/gm)];
    expect(listings.length).toBeGreaterThanOrEqual(3);
    for (const [, , first, last, code] of listings) {
      expect(Number(last)).toBeGreaterThanOrEqual(Number(first));
      expect(code).not.toBe('```');
    }
    expect(markdown).not.toContain('#region');
  });

  it('has commands to run and places for its exercises', async () => {
    const { markdown, exercises } = await loadLesson(number);
    expect(markdown).toMatch(/^```sh run\n/m);
    expect(exercises.length).toBeGreaterThanOrEqual(2);
    for (const id of exercises) expect(markdown).toContain(`\`\`\`exercise ${id}\n\`\`\``);
  });
});
