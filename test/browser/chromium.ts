/**
 * A headless Chromium for tests, the system's own. Everything that it would do on the network by itself is off. Errors of the
 * page, and what its Content-Security-Policy refused, are collected: a test asserts that there are none.
 */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Undefined when there is none: then a test is skipped, and says so. */
export const chromiumPath = PLACES.find((path): path is string => path !== undefined && existsSync(path));

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface Visit {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors so far, as the console has them. */
  readonly errors: string[];
}

/** A visitor with a profile of his own, at the lab's page. */
export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(url);
  return { context, page, errors };
}

/** Waits until the shown terminal has this on its screen. Lines follow each other without a break. */
export async function shows(page: Page, what: RegExp): Promise<void> {
  await page.locator('.screen:not([hidden]) .xterm-rows', { hasText: what }).waitFor();
}

/** Waits until the shown terminal waits for a command. */
export function prompt(page: Page): Promise<void> {
  return shows(page, /[#$]\s*$/);
}

/** Types a line into the shown terminal as a person does: by focusing it and pressing keys. */
export async function typeLine(page: Page, line: string): Promise<void> {
  await page.locator('.screen:not([hidden]) .xterm-helper-textarea').focus();
  await page.keyboard.type(`${line}\n`);
}
