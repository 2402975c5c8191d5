/** What a build is given by somebody else: its Dockerfile may be anything that has this name. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openInput } from '../../runtime/cli/build-input.js';
import type { ImageStore } from '../../runtime/image/store/index.js';

/** Nothing of it is needed for a context that is a folder. */
const store = {} as ImageStore;

describe('the Dockerfile of a context', () => {
  let folder: string;
  let context: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tare-input-'));
    context = join(folder, 'context');
    mkdirSync(join(context, 'docker'), { recursive: true });
    writeFileSync(join(folder, 'secret'), 'FROM secret');
    writeFileSync(join(context, 'docker/main'), 'FROM scratch');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const read = async (file?: string) => {
    await using input = await openInput(store, context, file);
    return input.dockerfile;
  };

  it.each([
    ['by a relative link', 'docker/main'],
    ['from the root of the context', '/docker/main'],
    ['from above its root, which is itself', '../../docker/main'],
  ])('may be a link within it: %s', async (_, target) => {
    symlinkSync(target, join(context, 'Dockerfile'));
    expect(await read()).toBe('FROM scratch');
  });

  it.each(['../secret', '/etc/passwd', '/proc/self/environ', '/proc/self/root/etc/passwd', 'Dockerfile'])(
    'is no link out of it: %s',
    async (target) => {
      symlinkSync(target, join(context, 'Dockerfile'));
      await expect(read()).rejects.toMatchObject({ code: 'not-found' });
    },
  );

  it('may be anywhere if somebody says so', async () => {
    symlinkSync('../secret', join(context, 'Dockerfile'));
    expect(await read(join(context, 'Dockerfile'))).toBe('FROM secret');
  });

  it('is not looked for where there is no folder', async () => {
    const none = join(folder, 'none');
    await expect(openInput(store, none, undefined)).rejects.toMatchObject({
      code: 'not-found',
      message: `the build context "${none}" is not there`,
    });
  });

  it.each([
    ['a FIFO', (path: string) => void execFileSync('mkfifo', [path]), 'not a regular file'],
    ['a folder', (path: string) => void mkdirSync(path), 'not a regular file'],
    [
      'of a gigabyte',
      (path: string) => {
        writeFileSync(path, '');
        truncateSync(path, 2 ** 30);
      },
      'more than 4194304 bytes',
    ],
  ])('is refused when it is %s', async (_, make, why) => {
    make(join(context, 'Dockerfile'));
    for (const file of [undefined, join(context, 'Dockerfile')])
      await expect(read(file)).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(why) });
  });
});
