/** Steps by which one process takes over from another: a lane cloned for somebody else, a start by whoever connects, a user namespace held for a moment. */
import { fstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../runtime/kernel/constants/open.js';
import { until } from '../harness/until.js';
import { CLONE, O, PR } from './flags.js';
import { NONE, planBytes, shell, step } from './plan-bytes.js';
import { BUILDS, hasEnded, REPLY, Stage } from './stage.js';

const { EINVAL, EPERM, ESRCH, ECANCELED } = constants.errno;
const NOBODY = 65534;

describe.each(BUILDS)('%s: adopt', (build) => {
  it('gives the pid and the pidfd of the child that the bridge cloned, which has ended by then', async () => {
    const outside = [
      step('clone', [1, 0, NONE], { out: [0, 1] }),
      step('wait', [1, 1]),
      step('adopt', [2], { out: [2, 3] }),
      step('open_proc', [2, 'status', O.rdonly], { out: [4] }),
      step('call', ['pidfd', 3]),
      step('call', ['status', 4]),
      step('post', [2, 2, NONE]),
      step('supervise', [2, NONE, NONE]),
    ];
    const bridge = [step('clone', [2, CLONE.parent | CLONE.newpid, NONE]), step('post', [0, 1, NONE])];
    const inside = [step('wait', [0, 2]), step('exit', [7])];
    await using stage = new Stage(planBytes({ lanes: [outside, bridge, inside] }), { build, lanes: 3 });
    const { value: pid } = await stage.until('cloned', 1);
    const pidfd = await stage.until('call');
    expect(readFileSync(`/proc/self/fdinfo/${pidfd.fds[0]}`, 'utf8')).toMatch(new RegExp(`^Pid:\\t${pid}$`, 'm'));
    stage.reply(0, REPLY.answer);
    await until(() => stage.reports.filter(({ type }) => type === 'call').length === 2);
    const status = stage.reports.filter(({ type }) => type === 'call')[1]?.fds[0] as number;
    expect(readFileSync(status, 'utf8')).toMatch(new RegExp(`^Pid:\\t${pid}\\nPPid:\\t${stage.pid}$`, 'm'));
    stage.reply(0, REPLY.answer);
    expect(await stage.ended()).toBe(7);
  });

  it('fails with ESRCH when there is no such child yet', async () => {
    const outside = [step('clone', [1, 0, NONE]), step('adopt', [2], { out: [2, 3] })];
    const bridge = [step('wait', [0, 1]), step('clone', [2, CLONE.parent, NONE])];
    await using stage = new Stage(
      planBytes({ lanes: [[...outside, step('post', [1, 1, NONE])], bridge, [step('exit', [0])]] }),
      {
        build,
        lanes: 3,
      },
    );
    expect(await stage.failure()).toMatchObject({ lane: 0, step: 1, error: ESRCH });
    expect(await stage.ended()).toBe(125);
  });
});

/** A listening socket in a folder of its own. */
async function withListener(test: (folder: number, listener: number) => Promise<void>): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'tare-start-'));
  const folder = native.open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const listener = native.listenAt(folder, 'start');
  try {
    await test(folder, listener);
  } finally {
    native.close(listener);
    native.close(folder);
    rmSync(path, { recursive: true });
  }
}

/** The type, and the text, of each report that comes on a connection until its end. */
async function reportsOf(connection: number): Promise<{ type: number; error: number; fds: number[] }[]> {
  const found: { type: number; error: number; fds: number[] }[] = [];
  for (let over = false; !over; ) {
    await until(() => {
      const message = native.recvmsg(connection, 4096, 1);
      if (message === null) return false;
      over = message.data.length === 0;
      if (!over)
        found.push({ type: message.data.readUInt32LE(0), error: message.data.readInt32LE(8), fds: message.fds });
      return true;
    });
  }
  return found;
}

describe.each(BUILDS)('%s: await_start', (build) => {
  const outside = [step('clone', [1, 0, NONE], { out: [1, 2] }), step('wait', [1, 1]), step('exit', [0])];
  const leaves = [step('prctl', [PR.setPdeathsig, 0, 0, 0, 0]), step('post', [0, 1, NONE])];

  it('outlives stage, and starts for whoever connects: HELLO, then the end of the line', () =>
    withListener(async (folder, listener) => {
      const inside = [...leaves, step('await_start', [0]), shell('exec sleep 1000')];
      await using stage = new Stage(planBytes({ lanes: [outside, inside], given: 1 }), {
        build,
        lanes: 2,
        given: [listener],
      });
      const { value: pid } = await stage.until('cloned');
      expect(await stage.ended()).toBe(0);
      expect(hasEnded(pid)).toBe(false);
      expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).not.toBe('sleep\n');
      const connection = native.connectAt(folder, 'start');
      expect(await reportsOf(connection)).toEqual([{ type: 1, error: 0, fds: [] }]);
      await until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
      native.close(connection);
      process.kill(pid, 'SIGKILL');
    }));

  it('tells who starts it why it cannot, and asks them', () =>
    withListener(async (folder, listener) => {
      const inside = [
        ...leaves,
        step('await_start', [0]),
        step('call', ['question', NONE]),
        step('exec', [['/no/such/program'], ['x'], []]),
      ];
      await using stage = new Stage(planBytes({ lanes: [outside, inside], given: 1 }), {
        build,
        lanes: 2,
        given: [listener],
      });
      const { value: pid } = await stage.until('cloned');
      expect(await stage.ended()).toBe(0);
      const connection = native.connectAt(folder, 'start');
      const answer = Buffer.alloc(16);
      answer.writeUInt32LE(REPLY.answer);
      native.sendmsg(connection, answer);
      const said = await reportsOf(connection);
      expect(said.map(({ type }) => type)).toEqual([1, 6, 5]); // HELLO, CALL, FAILED
      expect(said.at(-1)?.error).toBe(constants.errno.ENOENT);
      native.close(connection);
      await until(() => hasEnded(pid));
    }));

  it('lets nobody connect a second time', () =>
    withListener(async (folder, listener) => {
      const inside = [...leaves, step('await_start', [0]), step('call', ['hold', NONE]), step('exit', [0])];
      const given = native.dup(listener);
      await using stage = new Stage(planBytes({ lanes: [outside, inside], given: 1 }), {
        build,
        lanes: 2,
        given: [given],
      });
      native.close(given);
      const { value: pid } = await stage.until('cloned');
      expect(await stage.ended()).toBe(0);
      // Ours would keep it listening.
      const connection = native.connectAt(folder, 'start');
      await until(() => native.recvmsg(connection, 4096, 1) !== null);
      expect(readlinkSync(`/proc/${pid}/fd/0`)).toBe('/dev/null');
      const sockets = readdirSync(`/proc/${pid}/fd`).filter((fd) =>
        fd === String(0) ? false : statSync(`/proc/${pid}/fd/${fd}`).ino === fstatSync(listener).ino,
      );
      expect(sockets).toEqual([]);
      native.close(connection);
      await until(() => hasEnded(pid));
    }));
});

describe.each(BUILDS)('%s: await_exec', (build) => {
  it('waits until the program of the other lane runs', async () => {
    const outside = [
      step('clone', [1, 0, NONE], { out: [0, 1] }),
      step('await_exec', [1]),
      step('open_proc', [0, 'comm', O.rdonly], { out: [2] }),
      step('call', ['comm', 2]),
      step('exit', [0]),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, [shell('exec sleep 1000')]] }), { build, lanes: 2 });
    const call = await stage.until('call');
    expect(readFileSync(call.fds[0] as number, 'utf8')).toMatch(/^(sh|sleep)\n$/);
    stage.reply(0, REPLY.answer);
    const { value: pid } = await stage.until('cloned');
    expect(await stage.ended()).toBe(0);
    await until(() => hasEnded(pid)); // it goes with stage
  });

  it('is over when the other lane ends, and fails on a post or on a lane that was not started', async () => {
    const outside = [step('clone', [1, 0, NONE]), step('await_exec', [1]), step('exit', [9])];
    await using ends = new Stage(planBytes({ lanes: [outside, [step('exit', [0])]] }), { build, lanes: 2 });
    expect(await ends.ended()).toBe(9);

    const posts = [step('post', [0, 1, NONE]), step('call', ['never', NONE])];
    await using posted = new Stage(planBytes({ lanes: [outside, posts] }), { build, lanes: 2 });
    expect(await posted.failure()).toMatchObject({ lane: 0, step: 1, error: constants.errno.EPROTO });

    const early = [step('await_exec', [1]), step('clone', [1, 0, NONE])];
    await using never = new Stage(planBytes({ lanes: [early, [step('exit', [0])]] }), { build, lanes: 2 });
    expect(await never.failure()).toMatchObject({ lane: 0, step: 0, error: ECANCELED });
  });
});

describe.each(BUILDS)('%s: make_userns', (build) => {
  const maps = (text: string) => [Buffer.from(text), Buffer.from(text)];

  it('gives a user namespace with these maps, which nobody is in', async () => {
    const outside = [step('make_userns', maps('0 100000 10\n20 70000 1\n'), { out: [0] }), step('call', ['look', 0])];
    await using stage = new Stage(planBytes({ lanes: [outside] }), { build });
    const { fds } = await stage.until('call');
    const fd = fds[0] as number;
    expect(readlinkSync(`/proc/self/fd/${fd}`)).toMatch(/^user:\[\d+\]$/);
    expect(fstatSync(fd).ino).not.toBe(statSync('/proc/self/ns/user').ino);
    expect(readFileSync(`/proc/${stage.pid}/task/${stage.pid}/children`, 'utf8')).toBe('');
    stage.reply(0, REPLY.answer);
    expect(await stage.ended()).toBe(0);
  });

  it('can be entered: its users are those of the maps', async () => {
    const outside = [
      step('make_userns', maps('0 100000 10\n'), { out: [0] }),
      step('setns', [0, CLONE.newuser]),
      step('setresgid', [3, 3, 3]),
      step('setresuid', [3, 3, 3]),
      shell('id -u; cat /proc/self/uid_map'),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside] }), { build });
    expect(await stage.ended()).toBe(0);
    expect(stage.output.split(/\s+/).filter(Boolean)).toEqual(['3', '0', '100000', '10']);
  });

  it.each([
    ['an overlap', '0 100000 10\n5 200000 10\n', EINVAL],
    ['a map that says nothing', 'x\n', EINVAL],
  ])('fails with the write that the kernel refuses, and leaves no child: %s', async (_, text, error) => {
    const outside = [step('make_userns', maps(text), { out: [0] })];
    await using stage = new Stage(planBytes({ lanes: [outside] }), { build });
    expect(await stage.failure()).toEqual({ lane: 0, step: 0, error, name: 'write of uid_map' });
    expect(await stage.ended()).toBe(125);
  });

  it('gives who is not root no more than their own id', async () => {
    const outside = [step('make_userns', maps('0 0 1\n'), { out: [0] })];
    await using stage = new Stage(planBytes({ lanes: [outside] }), { build, uid: NOBODY });
    expect(await stage.failure()).toMatchObject({ error: EPERM, name: 'write of uid_map' });
  });
});
