/** Masked paths: one empty directory hides all directories, each path once, and nothing else of it is left. config-linux.md, "Masked Paths". */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseMountInfo } from '../../runtime/kernel/mountinfo.js';
import { runBundle } from './bundle.js';

const PATHS = ['/one', '/two', '/file', '/one/', '//file', '/not/there', '/two/../two'];

it('each path is hidden once, and directories by the same file system', async () => {
  await using running = await runBundle((config) => {
    const rootfs = config.root?.path ?? '';
    mkdirSync(join(rootfs, 'one'));
    mkdirSync(join(rootfs, 'two'));
    writeFileSync(join(rootfs, 'file'), 'secret\n');
    config.linux.maskedPaths = PATHS;
    config.process.args = ['sh', '-c', 'cat /one/* /two/* /file; sleep 1000'];
  });
  const mounts = parseMountInfo(readFileSync(`/proc/${running.pid}/mountinfo`, 'utf8'));
  const over = (path: string) => mounts.filter(({ mountPoint }) => mountPoint === path);
  expect(['/', '/one', '/two', '/file', '/not/there'].map((path) => over(path).length)).toEqual([1, 1, 1, 1, 0]);
  const [one, two] = ['/one', '/two'].map((path) => over(path)[0]);
  expect([one?.major, one?.minor]).toEqual([two?.major, two?.minor]);
  for (const path of ['/one', '/two']) {
    expect(over(path)[0]).toMatchObject({ fsType: 'tmpfs' });
    expect(over(path)[0]?.options).toEqual(expect.arrayContaining(['ro', 'nosuid', 'nodev', 'noexec']));
  }
  await expect.poll(running.output).toContain('/two/*');
  expect(running.output()).not.toContain('secret');
});
