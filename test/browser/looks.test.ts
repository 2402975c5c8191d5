/**
 * What can be said of the page without a machine: WCAG A and AA by axe-core on both themes, and a Content-Security-Policy
 * that nothing of the page offends.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { openShelf } from '../../web-lab/server/shelf.js';
import { openLab, type TestLab } from '../web-lab/visitor.js';
import { chromiumPath, launchChromium, typeLine, visit } from './chromium.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let browser: Browser;
let reason: string | undefined;

beforeAll(async () => {
  if (!chromiumPath) reason = 'there is no Chromium here (Debian: apt install chromium)';
  else if (!existsSync(join(packageRoot(), 'dist/web-lab/client/index.html'))) reason = 'the page is not built';
  else browser = await launchChromium();
});
afterAll(() => browser?.close());
beforeEach((context) => {
  if (reason) context.skip(reason);
});

describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
  it('the list of chapters passes axe', async () => {
    await using test = await openLab({ library: openShelf() });
    const { page, context } = await visit(browser, test.lab.url, { colorScheme });
    await page.locator('.chapter-card').first().waitFor();
    expect(await violations(page)).toEqual([]);
    await context.close();
  });

  it.each(['01-process', '03-namespaces', '05-pivot-root'])('chapter %s passes axe', async (id) => {
    await using test = await openLab({ library: openShelf() });
    const { page, context, errors } = await visit(browser, at(test, `/chapter/${id}`), { colorScheme });
    await page.locator('.lesson-end').waitFor();
    await page.locator('.status-bar .light.on').waitFor();
    expect(await violations(page)).toEqual([]);
    expect(errors).toEqual([]);
    await context.close();
  });

  it.each([1280, 390])('an exercise passes axe at %i pixels, whatever its state', async (width) => {
    await using test = await openLab();
    const options = { colorScheme, viewport: { width, height: 800 } };
    const { page, context } = await visit(browser, at(test, '/chapter/01-names'), options);
    await page.getByRole('button', { name: 'Start the exercise' }).click();
    await page.getByRole('button', { name: 'Give me a hint' }).click();
    await page.getByRole('button', { name: 'Show the solution' }).click();
    await page.locator('.solution').waitFor();
    expect(await violations(page)).toEqual([]);
    await test.provider.last.writeFile('/name', 'box');
    await page.locator('.explanation').waitFor();
    expect(await violations(page)).toEqual([]);
    test.provider.last.die();
    if (width < 900) await page.getByRole('button', { name: 'Terminal', exact: true }).click();
    await page.getByRole('heading', { name: 'The machine has ended' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await context.close();
  });

  it('the keys pass axe', async () => {
    await using test = await openLab();
    const { page, context } = await visit(browser, test.lab.url, { colorScheme });
    await page.getByRole('button', { name: 'Keys' }).click();
    await page.getByRole('dialog').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await context.close();
  });
});

it('draws colours of 24 bits and runs styles of its own under the policy', async () => {
  await using test = await openLab();
  const { page, context, errors } = await visit(browser, at(test, '/chapter/01-names'));
  await page.locator('.xterm-rows', { hasText: 'root@machine' }).waitFor();
  await typeLine(page, 'x');
  test.provider.last.terminals[0]?.emit('\x1b[38;2;1;200;3mcoloured\x1b[0m');
  const word = page.locator('.xterm-rows span', { hasText: 'coloured' });
  await word.waitFor();
  const style = (selector: string, property: string) =>
    page.evaluate<string>(`getComputedStyle(document.querySelector('${selector}')).${property}`);
  expect(await style('.xterm-rows span[style]', 'color')).toBe('rgb(1, 200, 3)');
  expect(await style('.xterm-rows span', 'display')).toBe('inline-block');
  expect(errors).toEqual([]);
  await context.close();
});

it('tells the page in another tab that it took over', async () => {
  await using test = await openLab();
  const { page, context } = await visit(browser, at(test, '/chapter/01-names'));
  await page.locator('.xterm-rows', { hasText: 'root@machine' }).waitFor();
  const session = await page.evaluate<string>('sessionStorage.getItem("tare-session")');
  const second = await context.newPage();
  await second.addInitScript(`sessionStorage.setItem('tare-session', '${session}')`);
  await second.goto(`${test.lab.origin}/chapter/01-names`);
  await page.getByRole('heading', { name: 'This page was opened in another tab.' }).waitFor();
  await page.getByRole('button', { name: 'Use it here' }).click();
  await second.getByRole('heading', { name: 'This page was opened in another tab.' }).waitFor();
  await context.close();
});

it('says that the lab was closed, and what is needed when another one answers', async () => {
  const test = await openLab();
  const { page, context } = await visit(browser, at(test, '/chapter/01-names'));
  await page.locator('.xterm-rows', { hasText: 'root@machine' }).waitFor();
  await test[Symbol.asyncDispose]();
  await page.getByRole('heading', { name: 'The lab was closed.' }).waitFor();
  await context.close();
});

function at(test: TestLab, path: string): string {
  return `${test.lab.origin}${path}?token=${test.lab.token}`;
}

/** Each violation as one line. */
async function violations(page: Page): Promise<string[]> {
  // Through the debugger's protocol, so the page's policy does not stop it.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate<AxeResults>(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })",
  );
  if (passes.length < 10) throw new Error('axe did not look at the page');
  return violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`,
  );
}
