/** The progress file: whole or not at all, private, and never thrown away. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Progress } from '../../web-lab/server/progress.js';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tare-progress-'));
  file = join(folder, 'lab', 'progress.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('survives a restart', async () => {
  const progress = await Progress.open(file);
  progress.openChapter('01-process');
  progress.readChapter('01-process');
  progress.recordTasks('own-name', ['named'], false);
  progress.recordTasks('own-name', ['kept'], true);
  await progress.flush();
  const again = await Progress.open(file);
  expect(again.view).toEqual(progress.view);
  expect(again.view.exercises['own-name']).toEqual({ tasks: ['named', 'kept'], done: expect.any(String) });
  expect(again.notice).toBeUndefined();
});

it('is private, and leaves nothing beside it', async () => {
  const progress = await Progress.open(file);
  progress.openChapter('01-process');
  await progress.flush();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'lab'))).mode & 0o777).toBe(0o700);
  expect(await readdir(join(folder, 'lab'))).toEqual(['progress.json']);
});

it('keeps what was done when a level task no longer holds', async () => {
  const progress = await Progress.open(file);
  progress.recordTasks('own-name', ['named'], true);
  progress.recordTasks('own-name', [], false);
  expect(progress.view.exercises['own-name']?.tasks).toEqual(['named']);
  expect(progress.view.exercises['own-name']?.done).toBeDefined();
  await progress.flush();
});

describe('a broken file', () => {
  const broken = [
    '',
    '{',
    'null',
    '[]',
    '{"formatVersion":2}',
    '{"formatVersion":1,"exercises":{"a":1},"chapters":{}}',
  ];

  it.each(broken)('%j is kept aside, said, and replaced', async (text) => {
    await Progress.open(file);
    await writeFile(file, text);
    const progress = await Progress.open(file);
    expect(progress.notice).toContain('could not be read');
    expect(progress.view).toEqual({ exercises: {}, chapters: {} });
    const [aside] = (await readdir(join(folder, 'lab'))).filter((name) => name.includes('.broken-'));
    expect(await readFile(join(folder, 'lab', String(aside)), 'utf8')).toBe(text);
    expect(progress.notice).toContain(String(aside));
  });
});

it('goes on in memory when the disk refuses, and says so', async () => {
  const progress = await Progress.open(file);
  const errors: unknown[] = [];
  progress.onWriteError = (error) => errors.push(error);
  await rm(join(folder, 'lab'), { recursive: true });
  progress.openChapter('01-process');
  await progress.flush();
  expect(errors).toHaveLength(1);
  expect(progress.view.chapters['01-process']).toBeDefined();
});
