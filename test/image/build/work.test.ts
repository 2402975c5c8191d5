/** The folders of steps: one at a time for a key, and gone with whoever had them. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeDeadWork, StepWork } from '../../../runtime/image/build/work.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tare-work-'));
});
afterEach(() => rmSync(root, { recursive: true }));
const left = () => readdirSync(join(root, 'build-cache/steps'));

it('one waits for the other that has the key', async () => {
  const order: string[] = [];
  const work = async (name: string) => {
    await using step = await StepWork.begin(root, 'key');
    expect(readdirSync(step.folder)).toEqual([]);
    order.push(`${name} begins`);
    writeFileSync(join(step.folder, 'file'), '');
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push(`${name} ends`);
  };
  await Promise.all(['a', 'b', 'c'].map(work));
  expect(order.filter((_, i) => i % 2 === 0).map((line) => line.replace('begins', 'ends'))).toEqual(
    order.filter((_, i) => i % 2 === 1),
  );
  expect(left()).toEqual([]);
});

it('waiting ends with its signal', async () => {
  await using _step = await StepWork.begin(root, 'key');
  await expect(StepWork.begin(root, 'key', AbortSignal.timeout(20))).rejects.toThrow();
});

it('what is left of a process that is gone is removed, what is used stays', async () => {
  await using step = await StepWork.begin(root, 'used');
  mkdirSync(join(root, 'build-cache/steps/dead/upper/deep'), { recursive: true });
  // Cut off while it was written.
  writeFileSync(join(root, 'build-cache/steps/dead/container'), '{"id": "x"');
  writeFileSync(join(root, 'build-cache/steps/gone.lock'), '');
  await removeDeadWork(root);
  expect(existsSync(step.folder)).toBe(true);
  expect(left().sort()).toEqual(['used', 'used.lock']);
});
