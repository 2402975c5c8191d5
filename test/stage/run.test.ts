/** The interpreter: guards, tolerated errnos, calls, failures as they are reported, --step and --trace, and what exec gets. */
import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compileSeccomp } from '../../runtime/kernel/seccomp/index.js';
import { O } from './flags.js';
import { CWD, NONE, planBytes, shell, step, type TestStep } from './plan-bytes.js';
import { BUILDS, REPLY, Stage } from './stage.js';

const { EACCES, EEXIST, ENOENT, ENOEXEC, EPERM } = constants.errno;
const PR_SET_NO_NEW_PRIVS = 38;
const folder = mkdtempSync(join(tmpdir(), 'tare-run-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.each(BUILDS)('%s: the interpreter', (build) => {
  const start = (steps: TestStep[], more: ConstructorParameters<typeof Stage>[1] & { given?: number[] } = {}) =>
    new Stage(planBytes({ lanes: [steps], given: more.given?.length ?? 0 }), { build, ...more });

  it('skips a step by its guards', async () => {
    const open = step('openat2', [CWD, '/etc', O.path, 0, 0], { out: [0] });
    await using stage = start([
      step('chdir', ['/none'], { guardIf: 0 }),
      open,
      step('chdir', ['/none'], { guardUnless: 0 }),
      step('fchdir', [0], { guardIf: 0 }),
      shell('pwd'),
    ]);
    expect(await stage.ended()).toBe(0);
    expect(stage.output).toBe('/etc\n');
  });

  it('goes on after a tolerated errno, with empty outputs', async () => {
    await using stage = start([
      step('openat2', [CWD, '/etc', O.path, 0, 0], { out: [0] }),
      step('openat2', [CWD, '/none', O.path, 0, 0], { out: [0], tolerate: [EPERM, ENOENT] }),
      step('fchdir', [0], { guardIf: 0 }),
      step('chdir', ['/'], { guardUnless: 0 }),
      shell('pwd'),
    ]);
    expect(await stage.ended()).toBe(0);
    expect(stage.output).toBe('/\n');
  });

  it('reports the step that failed, its errno, and its system call where the kind has several', async () => {
    await using stage = start([
      step('umask', [0o22]),
      step('open_proc', [NONE, 'nothing', O.rdonly], { tolerate: [EACCES, EPERM], out: [1] }),
      step('mkdirat', [CWD, join(folder, 'after'), 0o755]),
    ]);
    expect(await stage.failure()).toEqual({ lane: 0, step: 1, error: ENOENT, name: 'open' });
    expect(await stage.ended()).toBe(125);
    expect(existsSync(join(folder, 'after'))).toBe(false);
  });

  it('an empty slot is no descriptor', async () => {
    await using stage = start([
      step('openat2', [CWD, '/none', O.path, 0, 0], { out: [0], tolerate: [ENOENT] }),
      step('fchdir', [0]),
    ]);
    expect(await stage.failure()).toMatchObject({ step: 1, error: constants.errno.EBADF });
  });

  it('call hands over a descriptor and takes one back; give passes one on', async () => {
    await using stage = start([
      step('openat2', [CWD, '/etc/hostname', O.rdonly, 0, 0], { out: [0] }),
      step('give', ['host name', 0]),
      step('call', ['swap', 0], { out: [1] }),
      step('call', ['nothing', NONE], { out: [2] }),
      step('chdir', ['/none'], { guardIf: 2 }),
      step('fchdir', [1]),
      shell('pwd'),
    ]);
    const given = await stage.until('give');
    const call = await stage.until('call');
    for (const report of [given, call]) expect(fstatSync(report.fds[0] as number).ino).toBe(inode('/etc/hostname'));
    expect([given.name, call.name, call.step]).toEqual(['host name', 'swap', 2]);
    const tmp = openSync('/usr', 'r');
    stage.reply(0, REPLY.answer, { fds: [tmp] });
    stage.reply(0, REPLY.answer);
    closeSync(tmp);
    expect(await stage.ended()).toBe(0);
    expect(stage.output).toBe('/usr\n');
  });

  it('an answer may fail its call, and a call may tolerate that', async () => {
    await using stage = start([step('call', ['one', NONE], { tolerate: [EEXIST] }), step('call', ['two', NONE])]);
    stage.reply(0, REPLY.answer, { error: EEXIST });
    stage.reply(0, REPLY.answer, { error: ENOENT });
    expect(await stage.failure()).toMatchObject({ step: 1, error: ENOENT });
  });

  it('--trace tells of each step: done, skipped, tolerated, how long', async () => {
    const steps = [
      step('umask', [0o22]),
      step('setsid', [], { guardIf: 3 }),
      step('chdir', ['/none'], { tolerate: [ENOENT] }),
    ];
    await using stage = start(steps, { mode: '--trace' });
    expect(await stage.ended()).toBe(0);
    const seen = stage.reports.map(({ type, step, error, value }) => [type, step, error, value]);
    expect(seen).toEqual([
      ['hello', 0, 0, 1],
      ['done', 0, 0, 0],
      ['done', 1, 0, 1],
      ['done', 2, ENOENT, 0],
    ]);
    expect(stage.reports[1]?.ns).toBeGreaterThan(0);
  });

  it('--step waits for the word to go', async () => {
    const mark = join(folder, `step-${build.length}`);
    const steps = [step('umask', [0]), step('mkdirat', [CWD, mark, 0o755])];
    await using stage = start(steps, { mode: '--step' });
    expect((await stage.until('before')).step).toBe(0);
    stage.reply(0, REPLY.go);
    await stage.until('done');
    expect(existsSync(mark)).toBe(false);
    stage.reply(0, REPLY.go);
    expect(await stage.ended()).toBe(0);
    expect(existsSync(mark)).toBe(true);
  });

  it('--step can be aborted before any step', async () => {
    await using stage = start([step('mkdirat', [CWD, join(folder, 'aborted'), 0o755])], { mode: '--step' });
    await stage.until('before');
    stage.reply(0, REPLY.abort);
    expect(await stage.ended()).toBe(125);
    expect(existsSync(join(folder, 'aborted'))).toBe(false);
  });

  it('exec takes the first candidate that is there; EACCES beats ENOENT', async () => {
    const plain = join(folder, 'not-executable');
    writeFileSync(plain, '#!/bin/sh\n', { mode: 0o644 });
    writeFileSync(join(folder, 'garbage'), 'garbage', { mode: 0o755 });
    const exec = (candidates: string[]) => step('exec', [candidates, ['true'], []]);
    const cases: [string[], number, number | undefined][] = [
      [['/none/true', '/etc/hostname/true', '/bin/true'], 0, undefined],
      [[plain, '/bin/true'], 0, undefined],
      [['/none/true', '/none'], 127, ENOENT],
      [['/none/true', plain, '/none'], 126, EACCES],
      [[join(folder, 'garbage'), '/bin/true'], 126, ENOEXEC],
    ];
    for (const [candidates, status, errno] of cases) {
      await using stage = start([exec(candidates)]);
      expect(await stage.ended()).toBe(status);
      if (errno !== undefined)
        expect(await stage.failure()).toEqual({ lane: 0, step: 0, error: errno, name: 'execve' });
    }
  });

  it('executes, and tells of a failure, under a filter that allows neither execveat nor sendmsg', async () => {
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['execveat', 'sendmsg', 'mmap'], action: 'SCMP_ACT_ERRNO' }],
    } as const;
    const filtered = (candidate: string) => [
      step('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]),
      step('seccomp', [0, compileSeccomp(profile).program]),
      step('exec', [[candidate], ['true'], []]),
    ];
    await using found = start(filtered('/bin/busybox'));
    expect(await found.ended()).toBe(0);
    await using missing = start(filtered('/none'));
    expect(await missing.failure()).toEqual({ lane: 0, step: 2, error: ENOENT, name: 'execve' });
  });

  it('exec_fd runs a descriptor, with its argv and env and nothing else', async () => {
    const fd = openSync('/usr/bin/env', 'r');
    await using stage = start([step('exec_fd', [0, ['env'], ['A=1', 'B=zwei', 'C=']])], { given: [fd] });
    closeSync(fd);
    expect(await stage.ended()).toBe(0);
    expect(stage.output).toBe('A=1\nB=zwei\nC=\n');
  });

  it('what is started has 0, 1, 2 and what dup2 placed, no signal blocked or ignored', async () => {
    const [etc, usr] = [openSync('/etc', 'r'), openSync('/usr', 'r')];
    const steps = [
      // Numbers that stage itself uses: 3 is its control socket, and the second given descriptor may be anywhere.
      step('dup2', [0, 4]),
      step('dup2', [1, 3]),
      step('fchdir', [0]),
      shell('pwd; cd /proc/self/fd; for i in *; do readlink $i; done; grep -E "Sig(Blk|Ign)" /proc/self/status'),
    ];
    await using stage = start(steps, { given: [etc, usr] });
    for (const fd of [etc, usr]) closeSync(fd);
    expect(await stage.ended()).toBe(0);
    const lines = stage.output.trim().split('\n');
    // The shell's own readlink fails for the descriptor with which it reads the folder.
    expect(lines).toEqual([
      '/etc',
      '/dev/null',
      expect.stringMatching(/output$/),
      expect.stringMatching(/output$/),
      '/usr',
      '/etc',
      'SigBlk:\t0000000000000000',
      'SigIgn:\t0000000000000000',
    ]);
  });

  it('close empties its slot', async () => {
    await using stage = start([
      step('openat2', [CWD, '/', O.path, 0, 0], { out: [0] }),
      step('close', [0]),
      step('chdir', ['/none'], { guardIf: 0 }),
      step('exit', [7]),
    ]);
    expect(await stage.ended()).toBe(7);
  });

  it('a plan ends when TypeScript has left before it is there', async () => {
    await using stage = start([step('call', ['never', NONE]), step('mkdirat', [CWD, join(folder, 'left'), 0o755])]);
    await stage.until('call');
    stage.hangUp();
    expect(await stage.ended()).toBe(125);
    expect(existsSync(join(folder, 'left'))).toBe(false);
  });
});

function inode(path: string): number {
  const fd = openSync(path, 'r');
  try {
    return fstatSync(fd).ino;
  } finally {
    closeSync(fd);
  }
}
