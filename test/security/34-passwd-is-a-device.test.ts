/**
 * Attack 34: the image, or a process of the container, has put a device or a pipe in the place of a file that the runtime reads by itself
 * (/etc/passwd, for HOME and for names of users). No cgroup keeps the runtime from opening it as the container is kept, and an open alone
 * may do things: /dev/watchdog (10:130) resets the machine, a tape rewinds, a pipe lets its writer go on.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { textInRoot } from '../../runtime/container/home.js';
import { changedProcess } from '../../runtime/container/index.js';
import { runBundle } from '../system/bundle.js';

/** Whether somebody opens the pipe for reading while this runs: the process that waits for that does not wait any more then. */
async function isOpenedWhile(pipe: string, run: () => unknown): Promise<boolean> {
  execFileSync('mkfifo', [pipe]);
  const writer = spawn('sh', ['-c', 'exec 3> "$0"', pipe]);
  const ended = once(writer, 'exit');
  const waits = () => readFileSync(`/proc/${writer.pid}/wchan`, 'utf8') === 'wait_for_partner';
  try {
    while (!waits()) await sleep(5);
    await run();
    return writer.exitCode !== null || !waits();
  } finally {
    writer.kill('SIGKILL');
    await ended;
  }
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-passwd-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('who opens it, and looks then what it is, has opened it', async () => {
  await inFolder(async (folder) => {
    const pipe = join(folder, 'pipe');
    const open = () => closeSync(openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK));
    expect(await isOpenedWhile(pipe, open)).toBe(true);
  });
});

it('the file of an image is opened only when it is known to be a plain file', async () => {
  await inFolder(async (folder) => {
    mkdirSync(join(folder, 'etc'));
    const read = () => expect(textInRoot(folder, 'etc/passwd')).toBe('');
    expect(await isOpenedWhile(join(folder, 'etc/passwd'), read)).toBe(false);
  });
});

it('so it is when another process joins the container, and when a user is asked for by name', async () => {
  await using it = await runBundle(() => undefined);
  mkdirSync(join(it.folder, 'rootfs/etc'), { recursive: true });
  const passwd = join(it.folder, 'rootfs/etc/passwd');
  rmSync(passwd, { force: true });
  const opened = await isOpenedWhile(passwd, async () => {
    const process = changedProcess(it.container.config, { args: ['true'] });
    const joined = await it.container.exec({ process: { ...process, env: ['PATH=/bin'] } });
    expect(await joined.wait()).toEqual({ code: 0 });
    expect(() => it.container.parseUser('web')).toThrow(/has no user "web"/);
  });
  expect(opened).toBe(false);
});
