/** Attack 31: lessons and titles that carry HTML or terminal escapes. The server passes them on as data, the page shows them as text. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { chromiumPath, launchChromium, visit } from '../browser/chromium.js';
import { exercise, HOSTILE, library } from '../web-lab/fake-library.js';
import { ask, openLab } from '../web-lab/visitor.js';

let browser: Browser | undefined;
beforeAll(async () => {
  if (chromiumPath) browser = await launchChromium();
});
afterAll(() => browser?.close());

it('passes titles and texts on as they are: the page shows them as text', async () => {
  await using test = await openLab();
  const { headers, body } = await ask(test.port, '/api/chapters', { cookie: test.cookie });
  expect(headers['content-type']).toContain('application/json');
  expect(JSON.parse(body).chapters[0].title).toBe(HOSTILE);
  expect(JSON.parse(body).chapters[1].status).toBe('planned');
  expect((await ask(test.port, '/api/chapters/2', { cookie: test.cookie })).status).toBe(404);
});

it('shows HTML and escapes in titles and texts as text', async (task) => {
  if (!browser) return task.skip('there is no Chromium here (Debian: apt install chromium)');
  if (!existsSync(join(packageRoot(), 'dist/web-lab/client/index.html'))) return task.skip('the page is not built');
  const prompt = '<img src=x onerror="document.title=\'owned\'"> [x](javascript:document.title="owned")';
  const hostile = { ...exercise, tasks: exercise.tasks.map((task) => ({ ...task, prompt })) };
  const [chapter] = await library.chapters();
  if (!chapter) throw new Error('no chapter');
  await using test = await openLab({
    library: { ...library, chapters: async () => [{ ...chapter, exercises: [hostile] }] },
  });
  const { page, context, errors } = await visit(browser, test.lab.url);
  await page.locator('.chapter-card').waitFor();
  expect(await page.locator('.chapter-card h3').textContent()).toContain(HOSTILE.slice(0, 20));
  await page.locator('.chapter-card a').click();
  await page.getByRole('button', { name: 'Start the exercise' }).click();
  await page.locator('.verdict').waitFor();
  expect(await page.locator('.lesson img, .lesson script, .lesson a[href^="javascript"]').count()).toBe(0);
  expect(await page.locator('.task-prompt').first().textContent()).toContain('<img src=x');
  expect(await page.locator('.prose').first().textContent()).toContain('<script>');
  expect(await page.title()).not.toContain('owned"');
  expect(errors).toEqual([]);
  await context.close();
});
