/** supervise: signals, reaping, STATE/exit, and the supervisor's socket with its negotiated protocol. */
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { until } from '../harness/until.js';
import { CLONE } from './flags.js';
import { NONE, planBytes, shell, step } from './plan-bytes.js';
import { BUILDS, REPLY, Stage } from './stage.js';

const SUP = { hello: 1, signal: 2, status: 3, stdio: 4 } as const;
const folders: string[] = [];
const open: number[] = [];
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  for (const fd of open.splice(0)) closeSync(fd);
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe.each(BUILDS)('%s: supervise', (build) => {
  /** A container in a pid namespace that runs a line of shell, with a state folder and a listening socket. */
  function supervised(line: string, flags: number = CLONE.newpid) {
    const folder = mkdtempSync(join(tmpdir(), 'tare-supervise-'));
    folders.push(folder);
    const state = openSync(folder, 'r');
    const listener = native.listenAt(state, 'socket');
    open.push(state);
    const outside = [step('clone', [1, flags, NONE], { out: [2, 3] }), step('supervise', [2, 0, 1])];
    const plan = planBytes({ lanes: [outside, [shell(line)]], given: 2 });
    const stage = new Stage(plan, { build, lanes: 2, given: [state, listener] });
    closeSync(listener);
    return { stage, folder, connect: () => connect(state) };
  }

  it.each([
    ['exit 0', 0, 0],
    ['exit 7', 7, 7 << 8],
    ['kill -15 $$; sleep 9', 143, 15],
    ['exec /none', 127, 127 << 8],
  ])('"%s" ends with %d, written to STATE/exit', async (line, code, status) => {
    const { stage, folder } = supervised(line, 0);
    await using _ = stage;
    const before = Date.now() / 1000;
    expect(await stage.ended()).toBe(code);
    expect(stage.reports.at(-1)).toMatchObject({ type: 'exited', value: status, error: 0 });
    const [written, time] = readFileSync(join(folder, 'exit'), 'utf8').trim().split(' ').map(Number) as [
      number,
      number,
    ];
    expect(written).toBe(status);
    expect(time).toBeGreaterThan(before - 1);
    expect(readFileSync(join(folder, 'exit'), 'utf8')).toMatch(/^\d+ \d+\.\d{9}\n$/);
    expect(readdirSync(folder).sort()).toEqual(['exit', 'socket']);
  });

  it('forwards the signals of a terminal and of REPLY_SIGNAL', async () => {
    const names = ['TERM', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'WINCH'] as const;
    const traps = names.map((name) => `trap 'echo ${name}' ${name}`).join('; ');
    const { stage } = supervised(`${traps}; trap 'exit 5' RTMIN; echo ready; while :; do sleep 0.02; done`);
    await using _ = stage;
    await until(() => stage.output === 'ready\n');
    let expected = 'ready\n';
    for (const name of names) {
      stage.signal(constants.signals[`SIG${name}`]);
      expected += `${name}\n`;
      await until(() => stage.output === expected);
    }
    stage.reply(0, REPLY.signal, { value: 34 });
    expect(await stage.ended()).toBe(5);
  });

  it('keeps what is sent before it supervises', async () => {
    const outside = [
      step('clone', [1, 0, NONE], { out: [2, 3] }),
      step('call', ['wait', NONE]),
      step('supervise', [2, NONE, NONE]),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, [shell('exec sleep 1000')]] }), { build, lanes: 2 });
    await stage.until('call');
    stage.signal(constants.signals.SIGTERM);
    stage.reply(0, REPLY.answer);
    expect(await stage.ended()).toBe(143);

    await using other = new Stage(planBytes({ lanes: [outside, [shell('exec sleep 1000')]] }), { build, lanes: 2 });
    await other.until('call');
    other.reply(0, REPLY.signal, { value: constants.signals.SIGHUP });
    other.reply(0, REPLY.answer);
    expect(await other.ended()).toBe(129);
  });

  it('a container that has ended before supervise is still its exit status', async () => {
    const outside = [
      step('clone', [1, 0, NONE], { out: [2, 3] }),
      step('wait', [1, 1], { tolerate: [constants.errno.ECANCELED] }),
      step('supervise', [2, NONE, NONE]),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, [step('exit', [42])]] }), { build, lanes: 2 });
    expect(await stage.ended()).toBe(42);
  });

  it('reaps what the container leaves behind', async () => {
    const { stage } = supervised('(sh -c "exec sleep 0.05" &) ; (sh -c "exec sleep 0.05" &) ; sleep 0.5; exit 3', 0);
    await using _ = stage;
    await stage.until('supervising');
    await until(() => children(stage.pid).length === 3);
    await until(() => children(stage.pid).length === 1);
    expect(await stage.ended()).toBe(3);
  });

  it('goes on alone when TypeScript leaves', async () => {
    const { stage, folder, connect } = supervised("trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done");
    await using _ = stage;
    await stage.until('supervising');
    await until(() => stage.output === 'ready\n');
    stage.hangUp();
    const client = connect();
    await client.ask(SUP.hello, { min: 1, max: 1 });
    expect(await client.ask(SUP.status)).toMatchObject({ running: 1 });
    expect(await client.ask(SUP.signal, { value: 15 })).toMatchObject({ error: 0 });
    expect(await stage.ended()).toBe(9);
    expect(readFileSync(join(folder, 'exit'), 'utf8')).toMatch(/^2304 /);
  });

  it('REPLY_ABORT kills the container, and its end is written', async () => {
    const { stage, folder } = supervised('sleep 1000');
    await using _ = stage;
    await stage.until('supervising');
    stage.reply(0, REPLY.abort);
    expect(await stage.ended()).toBe(137);
    expect(readFileSync(join(folder, 'exit'), 'utf8')).toMatch(/^9 /);
  });

  it('the socket speaks the highest version that both know, or none', async () => {
    const { stage, connect } = supervised('sleep 1000');
    await using _ = stage;
    const { value: pid } = await stage.until('cloned');
    await stage.until('supervising');
    for (const [min, max, version] of [
      [1, 1, 1],
      [0, 7, 1],
      [2, 7, 0],
      [0, 0, 0],
    ] as const) {
      const client = connect();
      expect(await client.ask(SUP.hello, { min, max })).toMatchObject({ type: SUP.hello, version, pid });
      if (version === 0) expect(await client.ask(SUP.status)).toBe(null);
      else expect(await client.ask(99)).toMatchObject({ error: constants.errno.ENOSYS });
    }
  });

  it('the socket drops who does not say hello, or sends half a request', async () => {
    const { stage, connect } = supervised('sleep 1000');
    await using _ = stage;
    await stage.until('supervising');
    expect(await connect().ask(SUP.stdio)).toBe(null);
    const short = connect();
    expect(await short.send(Buffer.alloc(15))).toBe(null);
    const long = connect();
    expect(await long.send(Buffer.alloc(1000, 1))).toBe(null);
    expect(await connect().ask(SUP.hello, { min: 1, max: 1 })).toMatchObject({ version: 1 });
  });

  it('the socket gives stdio to a client, and serves eight at a time', async () => {
    const { stage, connect } = supervised('sleep 1000');
    await using _ = stage;
    await stage.until('supervising');
    const clients = Array.from({ length: 9 }, () => connect());
    for (const client of clients.slice(0, 8))
      expect(await client.ask(SUP.hello, { min: 1, max: 1 })).toMatchObject({ version: 1 });
    const ninth = clients[8]?.ask(SUP.hello, { min: 1, max: 1 });
    const answer = await clients[0]?.ask(SUP.stdio);
    expect(answer?.fds.map((fd) => readlinkSync(`/proc/self/fd/${fd}`))).toEqual([
      '/dev/null',
      expect.stringMatching(/output$/),
      expect.stringMatching(/output$/),
    ]);
    clients[3]?.close();
    expect(await ninth).toMatchObject({ version: 1 });
  });

  it('the socket refuses a signal that does not exist', async () => {
    const { stage, connect } = supervised('sleep 1000');
    await using _ = stage;
    await stage.until('supervising');
    const client = connect();
    await client.ask(SUP.hello, { min: 1, max: 1 });
    expect(await client.ask(SUP.signal, { value: 65 })).toMatchObject({ error: constants.errno.EINVAL });
    expect(await client.ask(SUP.signal, { value: -1 })).toMatchObject({ error: constants.errno.EINVAL });
  });

  it('an exit status that cannot be written is reported, and the code is still right', async () => {
    const file = openSync('/etc/hostname', 'r');
    open.push(file);
    const outside = [step('clone', [1, 0, NONE], { out: [2, 3] }), step('supervise', [2, 0, NONE])];
    const plan = planBytes({ lanes: [outside, [step('exit', [3])]], given: 1 });
    await using stage = new Stage(plan, { build, lanes: 2, given: [file] });
    expect(await stage.ended()).toBe(3);
    expect(stage.reports.at(-1)).toMatchObject({ type: 'exited', error: constants.errno.ENOTDIR });
  });
});

/** A client of the supervisor's socket. An answer is null when stage has hung up. */
function connect(state: number) {
  const fd = native.connectAt(state, 'socket');
  let closed = false;
  const close = () => {
    if (!closed) closeSync(fd);
    closed = true;
  };
  closers.push(close);
  const send = async (bytes: Uint8Array) => {
    const message = await exchange(bytes);
    if (!message || message.data.length === 0) return null;
    open.push(...message.fds);
    const { data, fds } = message;
    return {
      type: data.readUInt32LE(0),
      error: data.readInt32LE(4),
      version: data.readUInt32LE(8),
      running: data.readUInt32LE(12),
      pid: Number(data.readBigInt64LE(16)),
      fds,
    };
  };
  /** null where stage hung up before the request (EPIPE), or with the request unread (ECONNRESET, unix(7)). */
  const exchange = async (bytes: Uint8Array) => {
    try {
      native.sendmsg(fd, bytes);
      await readable(fd);
      return native.recvmsg(fd, 64, 3);
    } catch (error) {
      if (error instanceof Error && /EPIPE|ECONNRESET/.test(error.message)) return null;
      throw error;
    }
  };
  const ask = (type: number, more: { min?: number; max?: number; value?: number } = {}) => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(type, 0);
    bytes.writeUInt32LE(more.min ?? 0, 4);
    bytes.writeUInt32LE(more.max ?? 0, 8);
    bytes.writeInt32LE(more.value ?? 0, 12);
    return send(bytes);
  };
  return { send, ask, close };
}

function readable(fd: number): Promise<void> {
  return new Promise((resolve) => {
    const watcher = native.watch(fd, 1, () => {
      watcher.close();
      resolve();
    });
  });
}

function children(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
}
