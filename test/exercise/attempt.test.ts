/** An attempt, in a machine of the imagination: set-up, checks that run by themselves, memory, blocking, the end. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadExercise, startAttempt, type TaskState } from '../../runtime/exercise/index.js';
import { TareError } from '../../runtime/kernel/error.js';
import { FakeMachine } from './fake-machine.js';
import { FRONT, sampleProject } from './folder.js';

/** `first` holds once /flag says the var's value; `second` counts its runs in the memory, and throws ENOENT while /gone is there. */
const CHECK = `
export default {
  first: async ({ proc, vars }) => {
    const flag = (await proc.readFile('/flag')).toString();
    return flag === vars.name ? { ok: true } : { ok: false, fault: 'not-yet', says: flag, where: '/flag', expected: vars.name };
  },
  second: async ({ proc, memory }) => {
    memory.set('runs', (memory.get('runs') ?? 0) + 1);
    await proc.readFile('/stays');
    return { ok: true, says: String(memory.get('runs')) };
  },
};
`;

let sample: ReturnType<typeof sampleProject>;
let machine: FakeMachine;
beforeEach(() => {
  sample = sampleProject({ files: { 'check.ts': CHECK, 'setup.sh': 'echo {{name}} > /tmp/x\n' } });
  machine = new FakeMachine();
  machine.files.set('/flag', 'no').set('/stays', 'yes');
});
afterEach(() => sample.remove());

const begin = async (vars?: Record<string, string>) =>
  startAttempt(await loadExercise('sample', sample.root), machine, vars ? { vars } : {});
const names = (states: readonly TaskState[]) => states.map(({ state }) => state);

describe('an attempt', () => {
  it('draws its vars, fills them in everywhere, and runs setup.sh once', async () => {
    const attempt = await begin();
    const name = attempt.vars.name as string;
    expect(FRONT.vars.name).toContain(name);
    expect(attempt.text).toBe(`The text says ${name}.`);
    expect(await attempt.solution()).toBe(`echo ${name}\n`);
    expect(machine.commands).toHaveLength(1);
    expect(machine.commands[0]?.at(-1)).toBe(`echo ${name} > /tmp/x\n`);
    attempt.close();
  });

  it('draws each choice at some time', async () => {
    const drawn = new Set<string | undefined>();
    for (let i = 0; i < 200 && drawn.size < 2; i++) {
      const attempt = await begin();
      drawn.add(attempt.vars.name);
      attempt.close();
    }
    expect(drawn).toEqual(new Set(['one', 'two']));
  });

  it('says why setup.sh failed', async () => {
    machine.result = { status: 3, stderr: 'something\nmount: no such device\n' };
    await expect(begin()).rejects.toThrow('could not be set up: setup.sh ended with 3: mount: no such device');
  });

  it('checks, with the hint for the fault, and remembers from one run to the next', async () => {
    const attempt = await begin({ name: 'one' });
    const [first] = await attempt.check();
    expect(first).toMatchObject({ state: 'open', verdict: { fault: 'not-yet', says: 'no' }, hint: 'Try one.' });
    machine.files.set('/flag', 'one');
    expect(names(await attempt.check())).toEqual(['done', 'done']);
    machine.files.set('/flag', 'no'); // an edge task stays done
    const [, second] = await attempt.check();
    expect(second).toMatchObject({ state: 'done', verdict: { says: '2' } });
    attempt.close();
  });

  it('calls back when the machine reports activity, once for each change', async () => {
    const attempt = await begin({ name: 'one' });
    const seen: string[][] = [];
    attempt.watch((states) => seen.push(names(states)));
    machine.files.set('/flag', 'one');
    machine.act();
    await vi.waitFor(() => expect(seen).toHaveLength(1), { timeout: 30_000 });
    for (let i = 0; i < 5; i++) machine.act();
    await attempt.check();
    expect(seen[0]).toEqual(['done', 'done']);
    expect(seen.filter((states) => states[0] !== 'done')).toEqual([]);
    attempt.close();
  });

  it('notices a change without any activity', async () => {
    const attempt = await begin({ name: 'one' });
    const seen: unknown[] = [];
    attempt.watch((states) => seen.push(states));
    await vi.waitFor(() => expect(machine.reading).toBe(0), { timeout: 30_000 });
    machine.files.set('/flag', 'one');
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(0), { timeout: 30_000 });
    attempt.close();
  });

  it('never runs its checks twice at a time', async () => {
    const attempt = await begin({ name: 'one' });
    let most = 0;
    const read = machine.readFile.bind(machine);
    machine.readFile = async (path) => {
      const answer = read(path);
      if (path === '/flag') most = Math.max(most, machine.reading);
      return answer;
    };
    attempt.watch(() => undefined);
    for (let i = 0; i < 20; i++) machine.act();
    await Promise.all(Array.from({ length: 10 }, () => attempt.check()));
    expect(most).toBe(1);
    attempt.close();
  });

  it('looks again when a process vanishes in the middle of a check, and says so when it stays gone', async () => {
    const attempt = await begin({ name: 'one' });
    machine.files.set('/flag', 'one');
    machine.files.delete('/stays');
    const [, second] = await attempt.check();
    expect(second).toMatchObject({ state: 'open', verdict: { fault: 'vanished' } });
    attempt.close();
  });

  it('says what a check could not read, and goes on with the other tasks', async () => {
    const attempt = await begin({ name: 'one' });
    const read = machine.readFile.bind(machine);
    machine.readFile = async (path) => {
      if (path === '/flag') throw Object.assign(new Error('EIO: /flag'), { code: 'EIO' });
      return read(path);
    };
    const [first, second] = await attempt.check();
    expect(first).toMatchObject({ state: 'open', verdict: { fault: 'unreadable', says: 'EIO: /flag' } });
    expect(second?.state).toBe('waiting');
    attempt.close();
  });

  it('passes on that the machine has ended, and stops watching it', async () => {
    const attempt = await begin();
    attempt.watch(() => undefined);
    machine.readlink = async () => {
      throw new TareError('machine', 'the machine has ended');
    };
    await expect(attempt.check()).rejects.toThrow('the machine has ended');
    machine.end();
    attempt.close();
  });

  it('says that the machine’s proc is hidden when a link of its own is missing', async () => {
    const attempt = await begin({ name: 'one' });
    machine.links.delete('/proc/self');
    const [first] = await attempt.check();
    expect(first).toMatchObject({ state: 'open', verdict: { fault: 'proc-hidden' } });
    expect(first?.hint).toContain('umount /proc');
    attempt.close();
  });

  it('is blocked, and sets nothing up, when the machine lacks a feature or has an old kernel', async () => {
    machine.links.delete('/proc/self/ns/pid');
    machine.files.set('/proc/sys/kernel/osrelease', '4.0.9\n');
    const attempt = await begin();
    const states = await attempt.check();
    expect(names(states)).toEqual(['blocked', 'blocked']);
    expect(states[0]?.verdict).toMatchObject({
      says: 'it needs Linux 4.1, and this kernel is 4.0.9; this kernel has no pid namespaces (CONFIG_PID_NS)',
    });
    expect(machine.commands).toEqual([]);
    attempt.close();
  });

  it('ends: no listener stays, and it takes no more questions', async () => {
    const attempt = await begin();
    const stop = attempt.watch(() => undefined);
    attempt.watch(() => undefined);
    stop();
    expect(machine.watched).toBe(true);
    attempt.close();
    expect(machine.watched).toBe(false);
    await expect(attempt.check()).rejects.toThrow('the attempt at sample is closed');
  });
});
