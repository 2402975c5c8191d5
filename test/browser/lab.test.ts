/**
 * The lab as a learner meets it: the real provider, real machines, a real browser. Each test has a visitor of his own; they
 * share the provider, because preparing one may take a while.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { createProvider, type MachineProvider } from '../../runtime/vm/index.js';
import { createLab, type Lab } from '../../web-lab/server/app.js';
import { openShelf } from '../../web-lab/server/shelf.js';
import { chromiumPath, launchChromium, prompt, shows, typeLine, type Visit, visit } from './chromium.js';

let browser: Browser;
let provider: MachineProvider;
let lab: Lab;
let folder: string;
let reason: string | undefined;

beforeAll(async () => {
  if (!chromiumPath) reason = 'there is no Chromium here (Debian: apt install chromium)';
  else if (!existsSync(join(packageRoot(), 'dist/web-lab/client/index.html'))) reason = 'the page is not built';
  if (reason) return;
  folder = await mkdtemp(join(tmpdir(), 'tare-browser-'));
  provider = await createProvider();
  lab = await openLab();
  browser = await launchChromium();
}, 600_000);

afterAll(async () => {
  await browser?.close();
  await lab?.close();
  await provider?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

beforeEach((context) => {
  if (reason) context.skip(reason);
});

it('a learner opens a chapter, types a solution into the terminal, and sees the tasks turn green', async () => {
  await using learner = await newLearner();
  const { page } = learner;
  await page.getByRole('link', { name: 'Namespaces: uts' }).click();
  await page.getByRole('heading', { level: 1, name: /Namespaces/ }).waitFor();
  await prompt(page);

  await startExercise(page, 'A host name of your own');
  expect(await page.locator('.task.done').count()).toBe(0);
  expect(await page.locator('.verdict').first().textContent()).toContain('/proc/PID/ns/uts');
  const wanted = await page.locator('.exercise.running .task-prompt code').last().textContent();

  await typeLine(page, 'unshare --uts --ipc bash');
  await page.locator('.task.done').first().waitFor();
  await typeLine(page, `hostname ${wanted}`);
  await page.locator('.exercise.done .explanation').waitFor();
  expect(await page.locator('.exercise.done .task.done').count()).toBe(4);
  expect(await page.getByRole('status').first().textContent()).toContain('All tasks');
  expect(learner.errors).toEqual([]);
});

it('progress survives a reload, and a restart of the server', async () => {
  await using learner = await newLearner('/chapter/03-namespaces');
  const { page } = learner;
  await prompt(page);
  await startExercise(page, 'A host name of your own');
  await page.getByRole('button', { name: 'Show the solution' }).click();
  await page.getByRole('button', { name: 'Run it' }).click();
  await page.locator('.exercise.done').waitFor();
  await typeLine(page, 'echo kept-$((40 + 2))');
  await shows(page, /kept-42/);

  await page.reload();
  await page.locator('.exercise.done .solved').waitFor();
  await page.locator('.tabs').getByRole('tab', { name: 'Solution' }).click();
  await shows(page, /kept-42/);

  const second = await openLab(lab.progress.flush());
  try {
    await using other = await newLearner('/', second);
    expect(await other.page.locator('.chapter-card', { hasText: 'Namespaces' }).textContent()).toContain('1 of 3');
  } finally {
    await second.close();
  }
});

it('runs a code block in the terminal, and copies one', async () => {
  await using learner = await newLearner('/chapter/03-namespaces');
  const { page, context } = learner;
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await prompt(page);
  const block = page.locator('.code-runs').first();
  const code = await block.locator('code').textContent();
  await block.getByRole('button', { name: 'Run' }).click();
  await shows(page, /elsewhere\s*lab/);
  await block.getByRole('button', { name: 'Copy' }).click();
  await block.getByRole('button', { name: 'Copied' }).waitFor();
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(code);
  // The terminals stay when the learner goes to another chapter and back.
  await page.getByRole('link', { name: 'Chapters', exact: true }).click();
  await page.getByRole('link', { name: 'A container is a process' }).click();
  await page.getByRole('heading', { level: 1, name: 'A container is a process' }).waitFor();
  await shows(page, /elsewhere\s*lab/);
  await typeLine(page, 'echo same-$((5 + 5))');
  await shows(page, /same-10/);
});

it('says that a machine was killed, and gives a new one', async () => {
  await using learner = await newLearner('/chapter/01-process');
  const { page } = learner;
  await prompt(page);
  const before = qemus();
  await page.getByRole('button', { name: 'Fresh machine' }).click();
  const started = () => qemus().filter((pid) => !before.includes(pid));
  await expect.poll(started, { timeout: 20_000 }).toHaveLength(1);
  await page.locator('.status-bar .light.on').waitFor();
  await prompt(page);
  const [own] = started();
  process.kill(Number(own), 'SIGKILL');
  await page.getByRole('heading', { name: 'The machine has ended' }).waitFor();
  await page.getByRole('button', { name: 'Start a new machine' }).click();
  await page.getByRole('heading', { name: 'The machine has ended' }).waitFor({ state: 'hidden' });
  await prompt(page);
  await typeLine(page, 'echo alive-$((1 + 1))');
  await shows(page, /alive-2/);
});

it('can be used by keyboard alone', async () => {
  await using learner = await newLearner('/chapter/03-namespaces');
  const { page } = learner;
  await prompt(page);
  const focused = () => page.evaluate<string>('document.activeElement.className');
  await page.keyboard.press('F6');
  await expect.poll(focused).toContain('xterm-helper-textarea');
  await page.keyboard.type('echo by-$((3 + 4))\n');
  await shows(page, /by-7/);
  await page.keyboard.press('F6');
  await expect.poll(focused).toBe('lesson-pane');
  const line = page.getByRole('separator');
  await line.focus();
  const before = Number(await line.getAttribute('aria-valuenow'));
  await page.keyboard.press('ArrowRight');
  await expect.poll(async () => Number(await line.getAttribute('aria-valuenow'))).toBe(before + 2);
});

it('fits a narrow screen: lesson or terminals, and nothing wider than the page', async () => {
  await using learner = await newLearner('/chapter/03-namespaces', lab, { viewport: { width: 390, height: 844 } });
  const { page } = learner;
  await page.getByRole('heading', { level: 1 }).waitFor();
  const width = () => page.evaluate<number>('document.documentElement.scrollWidth');
  expect(await width()).toBe(390);
  expect(await page.locator('.terminal-pane').isVisible()).toBe(false);
  await page.getByRole('button', { name: 'Terminal', exact: true }).click();
  await prompt(page);
  expect(await page.locator('.lesson-pane').isVisible()).toBe(false);
  await typeLine(page, 'stty size');
  // Rows, then columns: fewer than sixty of them.
  await shows(page, /stty size\s*\d+ [1-5]\d\D/);
  expect(await width()).toBe(390);
});

async function startExercise(page: Page, title: string): Promise<void> {
  const card = page.locator('.exercise', { has: page.getByRole('heading', { name: title }) });
  await card.getByRole('button', { name: /Start the exercise|Do it again/ }).click();
  await card.locator('.tasks-count').waitFor();
  await page.getByRole('heading', { name: 'Starting a machine' }).waitFor({ state: 'hidden' });
  await prompt(page);
}

/** QEMUs that are children of this process. */
function qemus(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        // proc(5): pid (comm) state ppid; the comm may hold spaces and parentheses.
        const [, comm, rest] = /^\d+ \((.*)\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
        return comm?.startsWith('qemu') && Number(rest?.split(' ')[1]) === process.pid;
      } catch (error) {
        if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
        throw error;
      }
    })
    .map(Number);
}

async function openLab(after?: Promise<void>): Promise<Lab> {
  await after;
  return createLab({
    provider,
    library: openShelf(),
    progressFile: join(folder, 'progress.json'),
    graceMs: 500,
    log: () => undefined,
  });
}

type Learner = Visit & AsyncDisposable;

async function newLearner(path = '/', at = lab, options: Parameters<typeof visit>[2] = {}): Promise<Learner> {
  const visitor = await visit(browser, at.url.replace('/?', `${path}?`), options);
  return { ...visitor, [Symbol.asyncDispose]: () => visitor.context.close() };
}
