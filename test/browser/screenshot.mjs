// `node test/browser/screenshot.mjs [FILE]`: the picture of the README, docs/lab.png, taken of the real lab (built in dist/)
// with a real machine: chapter 3, an exercise half done. Light, 1440 by 900.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { createProvider } from '../../dist/runtime/vm/index.js';
import { createLab } from '../../dist/web-lab/server/app.js';
import { openShelf } from '../../dist/web-lab/server/shelf.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const file = process.argv[2] ?? join(root, 'docs/lab.png');
const folder = mkdtempSync(join(tmpdir(), 'tare-picture-'));
const provider = await createProvider();
const lab = await createLab({ provider, library: openShelf(), progressFile: join(folder, 'progress.json') });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'light' });
  await page.goto(lab.url.replace('/?', '/chapter/03-namespaces?'));
  const card = page.locator('.exercise', { has: page.getByRole('heading', { name: 'A host name of your own' }) });
  await card.getByRole('button', { name: 'Start the exercise' }).click();
  await card.locator('.tasks-count').waitFor();
  const rows = page.locator('.screen:not([hidden]) .xterm-rows');
  const shows = (what) => rows.filter({ hasText: what }).waitFor();
  await shows(/[#$]\s*$/);
  await page.locator('.screen:not([hidden]) .xterm-helper-textarea').focus();
  for (const line of ['readlink /proc/self/ns/uts', 'unshare --uts --ipc bash', 'readlink /proc/self/ns/uts']) {
    await page.keyboard.type(`${line}\n`);
    await page.waitForTimeout(1500);
  }
  await shows(/uts:.*uts:\[\d+\].*[#$]\s*$/s);
  await card.locator('.task.done').nth(1).waitFor();
  await card.locator('.tasks-count').evaluate((count) => count.scrollIntoView({ block: 'center' }));
  await page.waitForTimeout(500);
  mkdirSync(dirname(file), { recursive: true });
  await page.screenshot({ path: file });
  console.log(file);
} finally {
  await browser.close();
  await lab.close();
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
}
