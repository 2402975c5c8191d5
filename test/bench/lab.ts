/**
 * What a learner waits for, in a real browser with real machines: from the click on a chapter to a prompt that can be typed
 * at; from a change in the kernel to the green task (measured from the Enter that starts the program which makes
 * the change, so the figure is an upper bound); and the same click by five learners at once.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { createProvider } from '../../runtime/vm/index.js';
import { createLab, type Lab } from '../../web-lab/server/app.js';
import { openShelf } from '../../web-lab/server/shelf.js';
import { launchChromium, prompt, visit } from '../browser/chromium.js';
import { median, table, verdict } from './measure.js';

const CLICKS = 8;
const CHANGES = 12;
const LEARNERS = 5;

export async function bench(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tare-bench-lab-'));
  const provider = await createProvider();
  const lab = await createLab({
    provider,
    library: openShelf(),
    progressFile: join(folder, 'progress.json'),
    graceMs: 1,
  });
  const browser = await launchChromium();
  try {
    const clicks = await repeat(CLICKS, () => oneLearner(browser, lab, click));
    const feedback = await oneLearner(browser, lab, feedbacks);
    const crowd = await Promise.all(Array.from({ length: LEARNERS }, () => oneLearner(browser, lab, click)));
    const lines = [
      { name: 'click on a chapter to prompt', times: clicks },
      { name: 'change in the kernel to green task', times: feedback },
      { name: `click to prompt, ${LEARNERS} learners at once`, times: crowd },
    ];
    return [
      // Each by itself: they are different things, and their ratios say nothing.
      ...lines.map(({ name, times }) => table([{ name: name.padEnd(38), times }])),
      verdict('click on a chapter to usable prompt, median', median(clicks), 1500, ' ms'),
      verdict('task feedback, median', median(feedback), 500, ' ms'),
      verdict('machines that were wanted at once and did not come', LEARNERS - crowd.length, 0),
    ].join('\n');
  } finally {
    await browser.close();
    await lab.close();
    await provider.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function click(page: Page): Promise<number> {
  await page.locator('.chapter-card').first().waitFor();
  const began = performance.now();
  await page.getByRole('link', { name: 'Namespaces: uts' }).click();
  await prompt(page);
  return performance.now() - began;
}

/** The time of each new UTS namespace, from Enter to the mark on the page: it includes the start of unshare(1). */
async function feedbacks(page: Page): Promise<number[]> {
  await click(page);
  const card = page.locator('.exercise', { has: page.getByRole('heading', { name: 'A host name of your own' }) });
  await card.getByRole('button', { name: /Start the exercise|Do it again/ }).click();
  await card.locator('.tasks-count').waitFor();
  await prompt(page);
  const own = card.locator('.task').first();
  return repeat(CHANGES, async () => {
    await page.locator('.screen:not([hidden]) .xterm-helper-textarea').focus();
    await page.keyboard.type('unshare --uts sleep 1000');
    const began = performance.now();
    await page.keyboard.press('Enter');
    await own.and(page.locator('.done')).waitFor();
    const taken = performance.now() - began;
    await page.keyboard.press('Control+c');
    await own.and(page.locator('.open')).waitFor();
    return taken;
  });
}

async function oneLearner<T>(browser: Browser, lab: Lab, measure: (page: Page) => Promise<T>): Promise<T> {
  const { page, context } = await visit(browser, lab.url);
  try {
    return await measure(page);
  } finally {
    await context.close();
  }
}

async function repeat(times: number, run: () => Promise<number>): Promise<number[]> {
  const results: number[] = [];
  for (let done = 0; done < times; done++) results.push(await run());
  return results;
}
