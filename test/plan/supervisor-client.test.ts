import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { SUP_ANSWER, SUP_HELLO } from '../../runtime/plan/layout.js';
import { runPlan } from '../../runtime/plan/run.js';
import { stageImage } from '../../runtime/plan/stage-image.js';
import { SupervisorClient } from '../../runtime/plan/supervisor-client.js';
import { compileLiar } from './liar.js';

let folder: string;
let dirfd: number;
let before: number;
beforeEach(() => {
  stageImage();
  before = readdirSync('/proc/self/fd').length;
  folder = mkdtempSync(join(tmpdir(), 'tare-supervisor-'));
  dirfd = native.open(folder, 0x90000);
});
afterEach(() => {
  native.close(dirfd);
  rmSync(folder, { recursive: true });
  expect(readdirSync('/proc/self/fd').length).toBe(before);
});

/** A container that waits for signals, under a supervisor that listens on `supervisor`. */
async function supervised() {
  const b = new PlanBuilder();
  const listener = b.given('listener');
  const init = b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
  b.inside.exec({ candidates: ['/bin/sleep'], argv: ['sleep', '1000'], env: [] });
  b.outside.supervise({ pid: init.pid, state: 'none', listener });
  const socket = native.listenAt(dirfd, 'supervisor');
  const run = runPlan(b.build(), { given: { listener: socket } });
  native.close(socket);
  await run.started;
  return run;
}

describe('SupervisorClient', () => {
  it('asks a supervisor for its status and streams, and signals its container', async () => {
    const run = await supervised();
    const client = await SupervisorClient.connect(dirfd, 'supervisor');
    expect(client.version).toBe(1);
    expect(await client.status()).toEqual({ running: true, pid: run.cloned.get('inside')?.pid, status: 0 });
    const streams = await client.stdio();
    expect(streams.map((fd) => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(
      [0, 1, 2].map((fd) => readlinkSync(`/proc/self/fd/${fd}`)),
    );
    for (const fd of streams) native.close(fd);
    await expect(client.signal(99)).rejects.toMatchObject({ syscall: { errno: 'EINVAL' } });
    const [first, second] = await Promise.all([client.status(), client.status()]);
    expect(first).toEqual(second);
    await client.signal(15);
    expect(await run.exited).toBe(15);
    await run.ended;
    await expect(client.status()).rejects.toMatchObject({ name: 'TareError' });
    client.close();
    await expect(client.status()).rejects.toThrow();
  });

  it('says so when nobody is there', async () => {
    await expect(SupervisorClient.connect(dirfd, 'nobody')).rejects.toMatchObject({
      syscall: { name: 'connect', errno: 'ENOENT' },
    });
  });

  it('rejects what waits for an answer when it is closed', async () => {
    const run = await supervised();
    const client = await SupervisorClient.connect(dirfd, 'supervisor');
    const waiting = client.status();
    client.close();
    await expect(waiting).rejects.toThrow('the connection to the supervisor is closed');
    run.abort();
    await run.ended;
  });

  /** What a supervisor answers to hello, with one thing changed. */
  const answer = (change: (bytes: Buffer) => void, fds = '') => {
    const bytes = Buffer.alloc(SUP_ANSWER.size);
    bytes.writeUInt32LE(SUP_HELLO, SUP_ANSWER.type);
    bytes.writeUInt32LE(1, SUP_ANSWER.version);
    change(bytes);
    return fds + bytes.toString('hex');
  };

  it.each<[string, string, string]>([
    ['has no version in common', answer((bytes) => bytes.writeUInt32LE(0, SUP_ANSWER.version)), 'cannot talk to'],
    [
      'chooses a version that was not offered',
      answer((bytes) => bytes.writeUInt32LE(2, SUP_ANSWER.version)),
      'cannot talk to',
    ],
    ['fails', answer((bytes) => bytes.writeInt32LE(93, SUP_ANSWER.error)), 'cannot talk to'],
    ['answers another question', answer((bytes) => bytes.writeUInt32LE(3, SUP_ANSWER.type)), 'what was not asked'],
    ['answers too little', '0100000000000000', 'what was not asked'],
    ['answers too much', '00'.repeat(64), 'recvmsg'],
    ['sends more descriptors than there are streams', answer(() => undefined, '++++'), 'recvmsg'],
    ['sends a descriptor that nobody asked for', answer(() => undefined, '+'), 'what was not asked'],
    ['leaves without a word', '', 'the supervisor has ended'],
  ])('refuses a supervisor that %s', async (_, say, message) => {
    const liar = compileLiar();
    const socket = native.listenAt(dirfd, 'supervisor');
    const child = native.spawn(liar.fd, ['liar'], [`SAY=${say}`, 'ACCEPT=1'], [0, 1, 2, socket]);
    native.close(socket);
    liar.close();
    try {
      await expect(SupervisorClient.connect(dirfd, 'supervisor')).rejects.toThrow(message);
    } finally {
      await new Promise<void>((resolve) => {
        const watcher = native.watch(child.pidfd, 1, () => {
          watcher.close();
          resolve();
        });
      });
      expect(native.waitPidfd(child.pidfd)).toBe(3 << 8);
      native.close(child.pidfd);
    }
  });
});
