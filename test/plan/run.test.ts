import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { TareError } from '../../runtime/kernel/error.js';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import type { PlanRun, StepAt, StepOutcome } from '../../runtime/plan/driver.js';
import { runPlan } from '../../runtime/plan/run.js';
import { stageImage } from '../../runtime/plan/stage-image.js';
import { until } from '../harness/until.js';

const NS = { mnt: 0x20000, uts: 0x4000000, ipc: 0x8000000, pid: 0x20000000, net: 0x40000000 };
const ALL = Object.values(NS).reduce((a, b) => a | b);
const O_CLOEXEC = 0x80000;
const open = (path: string, flags = O_CLOEXEC) => ({ dir: 'cwd', path, flags, mode: 0, resolve: 0 }) as const;
const sh = (script: string) => ({ candidates: ['/bin/sh'], argv: ['sh', '-c', script], env: ['PATH=/usr/bin:/bin'] });

let before: string[];
beforeEach((context) => {
  if (process.geteuid?.() !== 0) context.skip('only root makes namespaces here');
  stageImage();
  before = openFds();
});
afterEach(() => {
  // Whatever a run did, and however it ended: no descriptor of it is left.
  expect(openFds()).toEqual(before);
});

describe('runPlan', () => {
  it('runs a program in new namespaces and gives its wait status', async () => {
    const b = new PlanBuilder();
    const init = b.outside.clone({ lane: 'inside', flags: ALL, cgroup: 'none' });
    b.inside.sethostname({ name: 'tiny' });
    b.inside.exec(sh('read go; exit 7'));
    b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
    const [stdin, write] = native.pipe();
    try {
      const run = runPlan(b.build(), { stdio: [stdin, 1, 2] });
      await Promise.all([run.supervising, run.started]);
      const inside = run.cloned.get('inside');
      expect(readFileSync(`/proc/${inside?.pid}/comm`, 'utf8')).toBe('sh\n');
      for (const kind of Object.keys(NS)) {
        expect([kind, readlinkSync(`/proc/${inside?.pid}/ns/${kind}`)]).not.toEqual([
          kind,
          readlinkSync(`/proc/self/ns/${kind}`),
        ]);
      }
      expect(/^NSpid:\t\d+\t1$/m.test(readFileSync(`/proc/${inside?.pid}/status`, 'utf8'))).toBe(true);
      native.close(write);
      expect(await run.exited).toBe(7 << 8);
      expect(await run.ended).toBeUndefined();
    } finally {
      native.close(stdin);
    }
  });

  it('passes only what a plan gives: three streams, and nothing else, reach the program', async () => {
    const b = new PlanBuilder();
    b.given('extra');
    const init = b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.inside.openat2(open('/etc/passwd', 0));
    b.inside.exec(sh('ls /proc/self/fd'));
    b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
    const { run, output } = withOutput((stdio) => {
      const extra = native.open('/dev/null', 0);
      try {
        return runPlan(b.build(), { stdio, given: { extra } });
      } finally {
        native.close(extra);
      }
    });
    await run.ended;
    // 3 is the directory that ls reads.
    expect((await output()).trim().split('\n')).toEqual(['0', '1', '2', '3']);
  });

  it('writes the exit status to the state directory, and supervises with signals', async () => {
    const state = await mkdtemp(join(tmpdir(), 'tare-run-'));
    const b = new PlanBuilder();
    const directory = b.outside.openat2(open(state, O_CLOEXEC | 0x10000), { as: 'state' });
    const init = b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.inside.exec(sh('kill -STOP $$; exit 1'));
    b.outside.supervise({ pid: init.pid, state: directory, listener: 'none' });
    try {
      const run = runPlan(b.build());
      await run.started;
      run.signal(15);
      run.signal(18);
      expect(await run.exited).toBe(15);
      expect(await run.ended).toBeUndefined();
      expect(await readFile(join(state, 'exit'), 'utf8')).toMatch(/^15 \d+\.\d{9}\n$/);
      expect(() => run.signal(15)).toThrow(expect.objectContaining({ code: 'state' }));
    } finally {
      await rm(state, { recursive: true });
    }
  });

  it('gives the status of stage itself when the plan does not supervise', async () => {
    const b = new PlanBuilder();
    b.outside.exit({ status: 3 });
    const run = runPlan(b.build());
    expect(await run.exited).toBe(3 << 8);
    await run.started;
    await expect(run.supervising).rejects.toMatchObject({ code: 'state' });
    const c = new PlanBuilder();
    c.outside.exec(sh('kill -USR1 $$'));
    expect(await runPlan(c.build()).exited).toBe(10);
  });

  it('detaches: stage supervises alone, and is waited for', async () => {
    const state = await mkdtemp(join(tmpdir(), 'tare-run-'));
    const b = new PlanBuilder();
    const directory = b.outside.openat2(open(state, O_CLOEXEC | 0x10000));
    const init = b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.inside.exec(sh('read go; exit 4'));
    b.outside.supervise({ pid: init.pid, state: directory, listener: 'none' });
    const [stdin, write] = native.pipe();
    try {
      const run = runPlan(b.build(), { stdio: [stdin, 1, 2] });
      expect(() => run.detach()).toThrow(expect.objectContaining({ code: 'state' }));
      await run.started;
      run.detach();
      expect(await run.ended).toBeUndefined();
      native.close(write);
      await until(() => !readdirSync('/proc').includes(String(run.pid)));
      expect(await readFile(join(state, 'exit'), 'utf8')).toMatch(/^1024 /);
    } finally {
      native.close(stdin);
      await rm(state, { recursive: true });
    }
  });
});

describe('a plan that fails', () => {
  it('says which call, with which arguments, for which field, and why', async () => {
    const b = new PlanBuilder();
    const init = b.outside.clone({ lane: 'inside', flags: NS.mnt, cgroup: 'none' });
    b.inside
      .for('mounts[2]')
      .fsopen({ type: 'nonsense', flags: 1 }, { why: 'a file system that nobody has', as: 'fs' });
    b.inside.exec(sh('true'));
    b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
    const run = runPlan(b.build());
    const error = await failure(run);
    expect(error.message).toBe('fsopen("nonsense", FSOPEN_CLOEXEC): ENODEV (mounts[2]: a file system that nobody has)');
    expect(error).toMatchObject({ code: 'plan', path: 'mounts[2]', exitCode: 125 });
    expect(error.syscall).toEqual({ name: 'fsopen', args: '"nonsense", FSOPEN_CLOEXEC', errno: 'ENODEV' });
    await expect(run.started).rejects.toBe(error);
    await expect(run.supervising.catch((e) => e)).resolves.toSatisfy((e) => e === undefined || e === error);
  });

  it('tells the cause, not that the other lane noticed', async () => {
    const b = new PlanBuilder();
    b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.inside.chdir({ path: '/nowhere' });
    b.sync('inside', 'outside', 'ready');
    b.inside.exit({ status: 0 });
    expect((await failure(runPlan(b.build()))).message).toBe('chdir("/nowhere"): ENOENT (chdir(2))');
  });

  it.each([
    ['/no/such/program', 'command-not-found', 127, '"program": command not found: execve("/no/such/program"): ENOENT'],
    [
      '/etc/passwd',
      'command-not-executable',
      126,
      '"program": command cannot be executed: execve("/etc/passwd"): EACCES',
    ],
    ['/etc/passwd/x', 'command-not-found', 127, '"program": command not found: execve("/etc/passwd/x")'],
  ])('exec of %s is %s', async (path, code, exitCode, message) => {
    const b = new PlanBuilder();
    const init = b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.inside.for('process.args').exec({ candidates: [path], argv: ['program'], env: [] }, 'the container’s program');
    b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
    const error = await failure(runPlan(b.build()));
    expect(error).toMatchObject({ code, exitCode, path: 'process.args' });
    expect(error.message).toContain(message);
  });

  it('leaves no process behind', async () => {
    const b = new PlanBuilder();
    b.outside.clone({ lane: 'inside', flags: NS.pid, cgroup: 'none' });
    b.sync('inside', 'outside', 'the program is about to run');
    b.inside.exec(sh('sleep 1000'));
    b.outside.chdir({ path: '/nowhere' });
    let inside = 0;
    const run = runPlan(b.build(), {
      onCloned: ({ pid, pidfd }) => {
        inside = pid;
        native.close(pidfd);
      },
    });
    expect((await failure(run)).message).toContain('chdir("/nowhere"): ENOENT');
    expect(inside).toBeGreaterThan(1);
    expect(exists(inside)).toBe(false);
  });

  it('does so for a malformed plan, or a missing descriptor, before anything is started', () => {
    const b = new PlanBuilder();
    b.outside.fchdir({ fd: b.given('there') });
    expect(() => runPlan(b.build())).toThrow('the plan needs a descriptor for "there"');
    const c = new PlanBuilder();
    c.outside.chdir({ path: '\0' });
    expect(() => runPlan(c.build())).toThrow('NUL byte');
    expect(() => runPlan(new PlanBuilder().build(), { stdio: [999, 999, 999] })).toThrow(TareError);
  });
});

describe('killed or aborted', () => {
  /** A container that would live for ever, with a pid namespace so that nothing escapes. */
  function endless() {
    const b = new PlanBuilder();
    const init = b.outside.clone({ lane: 'inside', flags: NS.pid, cgroup: 'none' });
    b.inside.exec(sh('sleep 1000 & wait'));
    b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
    return b.build();
  }

  it('abort ends the container and rejects', async () => {
    const run = runPlan(endless());
    await run.started;
    const inside = run.cloned.get('inside')?.pid as number;
    run.abort();
    run.abort();
    expect((await failure(run)).message).toBe('the plan was aborted');
    expect(exists(inside)).toBe(false);
    run.abort();
  });

  it('abort works while stage waits for an answer that never comes', async () => {
    const b = new PlanBuilder();
    b.outside.call({ name: 'never', fd: 'none' });
    const run = runPlan(b.build(), { onCall: () => new Promise<undefined>(() => undefined) });
    setTimeout(() => run.abort(), 20);
    expect((await failure(run)).message).toBe('the plan was aborted');
  });

  it('abort kills a stage that does not listen', async () => {
    const run = runPlan(endless());
    await run.started;
    const inside = run.cloned.get('inside')?.pid as number;
    process.kill(run.pid, 'SIGSTOP');
    run.abort();
    expect((await failure(run)).message).toBe('the plan was aborted');
    await until(() => !exists(inside));
  });

  it('kill -9 of stage takes the container with it and is an error', async () => {
    const run = runPlan(endless());
    await run.started;
    const inside = run.cloned.get('inside')?.pid as number;
    process.kill(run.pid, 'SIGKILL');
    expect((await failure(run)).message).toBe('stage was killed by SIGKILL before the plan was done');
    await until(() => !exists(inside));
  });

  it('kill -9 of stage before it has said anything', async () => {
    const run = runPlan(endless());
    native.pidfdSendSignal(run.pidfd, 9);
    expect((await failure(run)).code).toBe('plan');
  });
});

describe('call and give', () => {
  it('hand descriptors to TypeScript and back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tare-run-'));
    const b = new PlanBuilder();
    const passwd = b.outside.openat2(open('/etc/hostname'), { as: 'hostname' });
    const log = b.outside.call({ name: 'log', fd: passwd }, { as: 'log' });
    b.outside.write({ fd: log, data: Buffer.from('from stage\n') });
    b.outside.give({ name: 'root', fd: passwd });
    b.outside.exit({ status: 0 });
    const seen: unknown[] = [];
    try {
      const run = runPlan(b.build(), {
        onCall: async (name, fd) => {
          seen.push(name, readlinkSync(`/proc/self/fd/${fd}`));
          if (fd !== undefined) native.close(fd);
          await writeFile(join(folder, 'log'), '');
          return native.open(join(folder, 'log'), 1);
        },
        onGive: (name, fd) => {
          seen.push(name, readlinkSync(`/proc/self/fd/${fd}`));
          native.close(fd);
        },
      });
      expect(await run.exited).toBe(0);
      expect(seen).toEqual(['log', '/etc/hostname', 'root', '/etc/hostname']);
      expect(await readFile(join(folder, 'log'), 'utf8')).toBe('from stage\n');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('has what another lane gave when a call comes after that', async () => {
    const b = new PlanBuilder();
    b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.inside.give({ name: 'early', fd: b.inside.openat2(open('/etc/hostname')) });
    b.sync('inside', 'outside', 'given');
    b.inside.exit({ status: 0 });
    b.outside.call({ name: 'now', fd: 'none' });
    b.outside.exit({ status: 0 });
    let taken: number | undefined;
    const run = runPlan(b.build(), {
      onCall: async () => {
        taken = run.take('early');
        return undefined;
      },
    });
    // Until both reports lie there, so that nothing but their order says which is read first.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    await run.ended;
    expect(readlinkSync(`/proc/self/fd/${taken}`)).toBe('/etc/hostname');
    native.close(taken as number);
  });

  it('collects what is given, for those who take it once the plan has run', async () => {
    const b = new PlanBuilder();
    const fd = b.outside.openat2(open('/etc/hostname'));
    for (const name of ['one', 'two', 'two']) b.outside.give({ name, fd });
    b.outside.exit({ status: 0 });
    const run = runPlan(b.build());
    await run.exited;
    const taken = run.take('one');
    expect(readlinkSync(`/proc/self/fd/${taken}`)).toBe('/etc/hostname');
    native.close(taken as number);
    expect(run.take('one')).toBeUndefined();
    await run.ended;
    expect(run.take('two')).toBeUndefined();
  });

  it.each<[string, unknown, string]>([
    ['an error without errno', new Error('the hook said no'), 'EIO'],
    ['a system error', Object.assign(new Error('denied'), { code: 'EACCES' }), 'EACCES'],
    ['a TareError', new TareError('system-call', 'x', { syscall: { name: 'x', args: '', errno: 'ENOSPC' } }), 'ENOSPC'],
    ['nothing that is an error', undefined, 'EIO'],
  ])('fail the step with %s', async (_, thrown, errno) => {
    const b = new PlanBuilder();
    b.outside.for('hooks.prestart[0]').call({ name: 'hook', fd: 'none' }, 'runs the hook');
    const error = await failure(runPlan(b.build(), { onCall: () => Promise.reject(thrown) }));
    expect(error.syscall?.errno).toBe(errno);
    expect(error.message).toContain('call("hook", -1)');
    expect(error.message).toContain('hooks.prestart[0]: runs the hook');
    if (thrown instanceof Error) expect(error.message).toContain(thrown.message);
    expect(error.cause).toBe(thrown);
  });

  it('fail when nobody answers, and close what came along', async () => {
    const b = new PlanBuilder();
    b.outside.call({ name: 'hook', fd: b.outside.openat2(open('/')) });
    expect((await failure(runPlan(b.build()))).syscall?.errno).toBe('ENOSYS');
  });
});

describe('step mode and trace', () => {
  const guarded = () => {
    const b = new PlanBuilder();
    const none = b.outside.openat2(open('/nowhere'), { tolerate: ['ENOENT'], as: 'none' });
    b.outside.with({ if: none }).close({ fd: none });
    b.outside.umask({ mask: 0o22 });
    b.outside.exit({ status: 0 });
    return b.build();
  };

  it('asks before each step, one at a time, and tells what came of it', async () => {
    const events: string[] = [];
    let running = 0;
    const run = runPlan(guarded(), {
      beforeStep: async ({ step, index }) => {
        expect(++running).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running--;
        events.push(`before ${index} ${step.kind}`);
      },
      afterStep: async ({ step }: StepAt, outcome: StepOutcome) => {
        expect(++running).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running--;
        events.push(
          `after ${step.kind}${outcome.skipped ? ' skipped' : ''}${outcome.tolerated ? ` ${outcome.tolerated}` : ''}`,
        );
      },
    });
    expect(await run.exited).toBe(0);
    expect(events).toEqual([
      'before 0 openat2',
      'after openat2 ENOENT',
      'before 1 close',
      'after close skipped',
      'before 2 umask',
      'after umask',
      'before 3 exit',
    ]);
  });

  it('aborts when the hook before a step rejects, or the one after throws', async () => {
    const stop = new TareError('usage', 'enough');
    expect(await failure(runPlan(guarded(), { beforeStep: () => Promise.reject(stop) }))).toBe(stop);
    const error = await failure(
      runPlan(guarded(), {
        afterStep: () => {
          throw new Error('lost');
        },
      }),
    );
    expect(error.message).toBe('the plan was aborted: Error: lost');
  });

  it('times each step with trace', async () => {
    const run = runPlan(guarded(), { trace: true });
    await run.exited;
    expect(run.timings.map(({ step, skipped, tolerated }) => [step.kind, skipped, tolerated])).toEqual([
      ['openat2', false, 'ENOENT'],
      ['close', true, undefined],
      ['umask', false, undefined],
    ]);
    expect(run.timings[0]?.ns).toBeGreaterThan(0);
  });

  it('waits with the end for an afterStep that still runs', async () => {
    const b = new PlanBuilder();
    b.outside.umask({ mask: 0 });
    b.outside.chdir({ path: '/nowhere' });
    let done = false;
    const run = runPlan(b.build(), {
      afterStep: async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        done = true;
      },
    });
    expect((await failure(run)).message).toContain('chdir("/nowhere"): ENOENT');
    expect(done).toBe(true);
  });
});

async function failure(run: PlanRun): Promise<TareError> {
  const error = await run.exited.then(
    (status) => new Error(`it exited with status ${status}`),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(TareError);
  expect(await run.ended).toBe(error);
  return error;
}

function withOutput(start: (stdio: [number, number, number]) => PlanRun) {
  const [read, write] = native.pipe();
  const run = start([0, write, 2]);
  native.close(write);
  const output = async () => {
    try {
      return readFileSync(read, 'utf8');
    } finally {
      native.close(read);
    }
  };
  return { run, output };
}

function openFds(): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return `${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`;
      } catch {
        return ''; // the descriptor of this listing
      }
    })
    .filter((line) => line !== '' && !line.includes('/proc/'));
}

/** Runs, and is no zombie that somebody else has yet to reap. */
function exists(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
