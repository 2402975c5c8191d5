/** native/init as process 1 of a pid namespace, and started from a sealed memfd as Tare does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { packageRoot } from '../../runtime/kernel/places.js';

/** As it is shipped, and the same source under AddressSanitizer and UBSan. */
describe.each(['init', 'asan/init'])('%s', (build) => {
  const init = join(packageRoot(), 'dist/native', build);

  it.each([
    [['--', 'true'], 0],
    [['true'], 0],
    [['sh', '-c', 'exit 3'], 3],
    [['--', 'sh', '-c', 'kill -9 $$'], 137],
    [['--', 'sh', '-c', 'kill -TERM $$'], 143],
    [['/none'], 127],
    [['none'], 127],
    [['/etc/passwd/none'], 127],
    [['/etc/passwd'], 126],
    [['--'], 125],
    [[], 125],
  ] as [string[], number][])('%j ends with %d', async (args, status) => {
    const ran = await finished(asProcessOne(init, args));
    expect(ran.status).toBe(status);
    if (status === 125) expect(ran.stderr).toBe('usage: init [--] COMMAND [ARGUMENT...]\n');
    else if (status === 126 || status === 127) expect(ran.stderr).toMatch(new RegExp(`^init: ${args.at(-1)}: `));
    else expect(ran.stderr).toBe('');
  });

  it('passes arguments, a second "--" and the environment on', async () => {
    const ran = await finished(asProcessOne(init, ['--', 'sh', '-c', 'echo "$0|$1|$X"', '--', 'a b'], { X: 'y' }));
    expect(ran.stdout).toBe('--|a b|y\n');
  });

  it('reaps what the command leaves behind', async () => {
    const orphans = 'for i in 1 2 3 4 5; do (sleep 0.05 &); done; sleep 0.4';
    const ran = await finished(
      asProcessOne(init, ['sh', '-c', `${orphans}; grep -l "^State:.Z" /proc/[0-9]*/status; echo $$`]),
    );
    expect(ran.stdout).toBe('2\n');
  });

  it('ends with its command, whatever else still runs', async () => {
    const ran = await finished(asProcessOne(init, ['sh', '-c', 'sleep 1000 >/dev/null 2>&1 & exit 4']));
    expect(ran.status).toBe(4);
  });

  it('forwards every signal that can be forwarded', async () => {
    const numbers = Array.from({ length: 64 }, (_, i) => i + 1);
    const forwarded = numbers.filter((n) => ![SIGKILL, SIGSTOP, SIGCHLD, ...BASH_CANNOT_TRAP].includes(n));
    const traps = forwarded.map((n) => `trap 'echo ${n}' ${n}`).join('; ');
    const child = asProcessOne(init, ['bash', '-c', `${traps}; echo ready; while :; do sleep 0.01; done`]);
    const ran = finished(child);
    try {
      expect(await lines(child, 1)).toEqual(['ready']);
      const [pid] = childrenOf(child.pid as number);
      for (const [i, number] of forwarded.entries()) {
        process.kill(Number(pid), number);
        expect((await lines(child, i + 2)).at(-1)).toBe(String(number));
      }
    } finally {
      child.kill('SIGKILL'); // --kill-child: and so does all of it
      await ran;
    }
  });

  it('the command has a process group of its own, and no signal blocked', async () => {
    const look = 'grep -E "Sig(Blk|Ign)" /proc/self/status; cut -d" " -f 5 /proc/$$/stat; echo $$';
    const ran = await finished(asProcessOne(init, ['sh', '-c', look]));
    expect(ran.stdout).toBe('SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n2\n2\n');
  });

  it('the command is in the foreground of its terminal', async () => {
    const look = `${init} -- sh -c 'set -- $(cat /proc/$$/stat); echo $5 $8'`;
    const ran = await finished(spawn('script', ['-qec', look, '/dev/null'], { stdio: ['ignore', 'pipe', 'pipe'] }));
    const [group, foreground] = ran.stdout.trim().split(' ');
    expect(Number(group)).toBeGreaterThan(1);
    expect(foreground).toBe(group);
  });

  it('runs from a sealed memfd', async () => {
    const exe = native.sealedMemfd('init', readFileSync(init));
    const nothing = openSync('/dev/null', 'r+');
    const { pidfd } = native.spawn(exe, ['init', '--', '/bin/sh', '-c', 'exit 6'], [], [nothing, nothing, nothing]);
    closeSync(nothing);
    closeSync(exe);
    const status = await new Promise((resolve) => {
      const watcher = native.watch(pidfd, 1, () => {
        watcher.close();
        resolve(native.waitPidfd(pidfd));
      });
    });
    closeSync(pidfd);
    expect(status).toBe(6 << 8);
  });
});

const { SIGKILL, SIGSTOP, SIGCHLD } = constants.signals;
const BASH_CANNOT_TRAP = [32, 33]; // its C library keeps them

function asProcessOne(init: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const namespaces = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
  return spawn('unshare', [...namespaces, init, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...env },
  });
}

const output = new WeakMap<ChildProcess, string>();

function finished(child: ChildProcess): Promise<{ status: number | null; stdout: string; stderr: string }> {
  output.set(child, '');
  let stderr = '';
  child.stdout?.on('data', (data) => output.set(child, output.get(child) + String(data)));
  child.stderr?.on('data', (data) => {
    stderr += data;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout: output.get(child) ?? '', stderr }));
  });
}

/** The lines that it has written, once there are so many. */
async function lines(child: ChildProcess, count: number): Promise<string[]> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = (output.get(child) ?? '').split('\n').slice(0, -1);
    if (found.length >= count) return found;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`no more than ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
}
