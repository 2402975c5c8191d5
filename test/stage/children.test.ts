/** Programs that a lane waits for (hooks), and how the process itself is scheduled and looks for its program. */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { failure, output } from './one-lane.js';
import { NONE, shell, step, type TestStep } from './plan-bytes.js';
import { BUILDS } from './stage.js';

const { EACCES, ECHILD, EINVAL, ENOENT } = constants.errno;
const ETIME = 62;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-children-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const hook = (line: string, input = NONE, timeout = 0, env: string[] = []): TestStep =>
  step('run', [['/bin/sh'], ['hook', '-c', line], env, input, timeout]);

describe.each(BUILDS)('%s: run', (build) => {
  const succeeds = (steps: TestStep[], given: number[] = []) => output(build, steps, given);
  const fails = (...steps: TestStep[]) => failure(build, steps);

  it('gives each program its input from the start, exactly its environment, and nothing of the streams', async () => {
    const state = native.sealedMemfd('state', Buffer.from('{"id":"x"}'));
    try {
      const out = join(folder, 'out');
      const write = `{ cat; echo " $0 $A $(env | sort | tr '\\n' ' ')"; } >> ${out}; echo noise; echo noise >&2`;
      const said = await succeeds([hook(write, 0, 0, ['A=b']), hook(write, 0, 0, ['A=c']), shell('echo end')], [state]);
      expect(said).toBe('end');
      const [first, second] = readFileSync(out, 'utf8').trim().split('\n');
      expect(first).toMatch(/^\{"id":"x"\} hook b A=b PWD=\S+ /);
      expect(second).toMatch(/^\{"id":"x"\} hook c A=c /);
    } finally {
      native.close(state);
    }
  });

  it('passes on no descriptor of stage', async () => {
    const out = join(folder, 'out');
    await succeeds([hook(`ls /proc/self/fd > ${out}`), step('exit', [0])]);
    // The last is the folder that ls reads.
    expect(readFileSync(out, 'utf8').trim().split('\n')).toEqual(['0', '1', '2', '3']);
  });

  it('fails with what the program said last, by its status or its signal', async () => {
    const failure = await fails(hook('echo one; echo the reason >&2; exit 3'), step('exit', [0]));
    expect(failure).toMatchObject({ step: 0, error: ECHILD });
    expect(failure.name).toBe('the program ended with status 3: one\nthe reason');
    const signal = await fails(hook('kill -9 $$'));
    expect(signal).toMatchObject({ error: ECHILD, name: 'the program was killed by signal 9' });
    const much = await fails(hook('i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; exit 1'));
    expect(much.name).toMatch(/line 2999$/);
    expect(much.name.length).toBeLessThan(300);
  });

  it('kills what takes too long, and does not wait for a grandchild that keeps its streams', async () => {
    expect(await fails(hook('exec sleep 100', NONE, 50))).toMatchObject({ error: ETIME });
    const pidFile = join(folder, 'pid');
    await succeeds([hook(`sleep 100 & echo $! > ${pidFile}`), step('exit', [0])]);
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  });

  it('fails as execve does when there is no such program, or it may not be executed', async () => {
    const plain = join(folder, 'plain');
    writeFileSync(plain, 'no program');
    expect(await fails(step('run', [[join(folder, 'none')], ['x'], [], NONE, 0]))).toMatchObject({
      error: ENOENT,
      name: 'execve',
    });
    expect(await fails(step('run', [[plain], ['x'], [], NONE, 0]))).toMatchObject({ error: EACCES, name: 'execve' });
  });

  it('expect_program finds what exec would start', async () => {
    const plain = join(folder, 'plain');
    writeFileSync(plain, '#!/bin/sh\n');
    chmodSync(plain, 0o644);
    const expectProgram = (...candidates: string[]) => step('expect_program', [candidates]);
    expect(await succeeds([expectProgram(plain, '/bin/sh'), shell('echo found')])).toBe('found');
    expect(await fails(expectProgram('/none/a', '/none/b'))).toMatchObject({ error: ENOENT });
    expect(await fails(expectProgram('/none/a', plain))).toMatchObject({ error: EACCES });
    expect(await fails(expectProgram(folder))).toMatchObject({ error: EACCES });
  });

  it('own_stdio gives the streams to the user, but not a device, nor what may only be read', async () => {
    const [written, read] = [join(folder, 'written'), join(folder, 'read')];
    writeFileSync(read, 'a file of the host');
    const device = join(folder, 'device');
    execFileSync('mknod', [device, 'c', '1', '5']);
    const fds = [openSync(written, 'w'), openSync(read, 'r'), openSync(device, 'r+')];
    try {
      const streams = [2, 1, 0].map((slot, number) => step('dup2', [slot, number]));
      await succeeds([...streams, step('own_stdio', [1234]), step('exit', [0])], fds);
      expect(statSync(device).uid).toBe(0);
      expect(statSync(read).uid).toBe(0);
      expect(statSync(written).uid).toBe(1234);
    } finally {
      fds.forEach(closeSync);
    }
  });

  it('sched_setattr, ioprio_set, sched_setaffinity and personality are what the program has', async () => {
    const batch = 3;
    const said = await succeeds([
      step('sched_setattr', [batch, 0, 5, 0, 0, 0, 0]),
      step('ioprio_set', [(2 << 13) | 6]), // IOPRIO_CLASS_BE, 6
      step('sched_setaffinity', [Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])]),
      step('personality', [8]), // PER_LINUX32
      shell('cut -d" " -f19,41 /proc/$$/stat; ionice -p $$; grep Cpus_allowed_list /proc/$$/status; uname -m'),
    ]);
    expect(said.split('\n')).toEqual(['5 3', 'best-effort: prio 6', 'Cpus_allowed_list:\t0', 'i686']);
    expect(await fails(step('sched_setattr', [77, 0, 0, 0, 0, 0, 0]))).toMatchObject({ error: EINVAL });
  });
});
