import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  childrenOf,
  cmdline,
  containment,
  describeFacts,
  findProcesses,
  inspectProcess,
  isAlive,
  localProc,
  machineView,
  mountInfo,
  NAMESPACE_TYPES,
  namespaceInode,
  type ProcSource,
  sameRoot,
  sharedNamespaces,
  shareNamespaces,
  startTime,
  status,
} from '../../runtime/inspect/index.js';
import { TareError } from '../../runtime/kernel/error.js';
import { failure, fakeProc, stat, wholeProcess } from './fake-proc.js';

const source = localProc();
const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    child.stdin?.end();
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
});

/** Starts a command that says a line when it is ready, and then waits for the end of its input. */
async function start(...argv: string[]): Promise<number> {
  const child = spawn(argv[0] as string, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  running.push(child);
  await once(child.stdout, 'data');
  return child.pid as number;
}

const WAIT = ['sh', '-c', 'echo ready; read line; :'];

describe('real processes', () => {
  test('one in namespaces of its own', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root');
    const outer = await start(
      'unshare',
      '-m',
      '-p',
      '-f',
      '-n',
      '-u',
      '-i',
      '-C',
      '--mount-proc',
      '--kill-child',
      ...WAIT,
    );
    const [inner] = await childrenOf(source, outer);
    const facts = await inspectProcess(source, inner?.pid as number);
    expect(facts).toMatchObject({
      parent: outer,
      nsPids: [facts.pid, 1],
      comm: 'sh',
      state: 'S',
      threads: 1,
      unreadable: [],
    });
    expect(facts.cmdline).toEqual(WAIT);
    const me = await inspectProcess(source, process.pid);
    expect(shareNamespaces(facts, me)).toEqual(['time', 'user']);
    expect(await sharedNamespaces(source, facts.pid, process.pid)).toEqual(['time', 'user']);
    expect(facts.mounts.filter((mount) => mount.mountPoint === '/proc').length).toBeGreaterThan(1);
    expect(facts.mounts).toEqual(await mountInfo(source, facts.pid));
    expect(facts.resourceLimits.RLIMIT_NOFILE?.soft).toBeGreaterThan(0);
    expect(facts.uidMap[0]).toMatchObject({ inside: 0, outside: 0 });
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts); // plain data
  });

  test('capabilities, ids, no_new_privs and limits', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root');
    const pid = await start(
      ...['prlimit', '--nofile=64:128', 'setpriv', '--no-new-privs', '--bounding-set=+chown,+kill', '--reuid=1234'],
      ...['--regid=4321', '--groups=5,6', '--inh-caps=-all', ...WAIT],
    );
    const facts = await inspectProcess(source, pid);
    expect(facts).toMatchObject({
      noNewPrivs: true,
      uids: { real: 1234, effective: 1234, saved: 1234, filesystem: 1234 },
      gids: { real: 4321, effective: 4321 },
      groups: [5, 6],
      capabilities: { effective: [], permitted: [], inheritable: [], ambient: [] },
    });
    expect(facts.resourceLimits.RLIMIT_NOFILE).toEqual({ soft: 64, hard: 128 });
  });

  test('one that may not be dumped is read by root all the same', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root');
    // PR_SET_DUMPABLE of prctl(2), which is call 157 on x86_64: its files in /proc become root's.
    if (process.arch !== 'x64') ctx.skip('knows the number of prctl on x86_64 only');
    const script = '$| = 1; syscall(157, 4, 0, 0, 0, 0) == 0 or die; print "ready\\n"; <STDIN>';
    const pid = await start('setpriv', '--reuid=1234', '--clear-groups', 'perl', '-e', script);
    expect(statSync(`/proc/${pid}/ns`).uid).toBe(0);
    expect(await inspectProcess(source, pid)).toMatchObject({ uids: { real: 1234 }, unreadable: [] });
  });

  test('a zombie has left its namespaces and mounts, and is a process nevertheless', async () => {
    // A shell may wait for its child before it is `sleep`, which waits for none.
    const outer = await start('sh', '-c', 'sleep 0.3 & echo $!; exec sleep 60');
    const zombie = await vi.waitFor(
      async () => {
        const [child] = await childrenOf(source, outer);
        expect(child?.status.state).toBe('Z');
        return child?.pid as number;
      },
      { timeout: 30_000 },
    );
    const facts = await inspectProcess(source, zombie);
    expect(facts).toMatchObject({ state: 'Z', exe: null, cmdline: [], mounts: [], parent: outer });
    expect(await isAlive(source, zombie, facts.startTime)).toBe(false);
    expect(containment(facts)).toEqual({ verdict: 'ended', summary: expect.stringMatching(/has ended/), findings: [] });
    const page = describeFacts(facts);
    expect(page.map(({ title }) => title)).toEqual([expect.stringMatching(/^How contained: it has ended/), 'Process']);
  });

  test('a kernel thread has no program', async (ctx) => {
    if (!readFileSync('/proc/2/status', 'utf8').startsWith('Name:\tkthreadd')) ctx.skip('pid 2 is not kthreadd here');
    expect(await inspectProcess(source, 2)).toMatchObject({ exe: null, cmdline: [], comm: 'kthreadd', parent: 0 });
  });

  test('what the machine is, is found', async () => {
    const view = await machineView(source);
    expect(['pid 1', 'kthreadd', 'the reader']).toContain(view.from);
    expect(Object.keys(view.namespaces)).toEqual(expect.arrayContaining(['mnt', 'pid', 'user']));
  });

  test('finding: by a question, each alive until it ends', async () => {
    const pid = await start(...WAIT, 'a-name-for-this-test');
    const found = await findProcesses(source, (one) => one.cmdline.at(-1) === 'a-name-for-this-test');
    expect(found.map((one) => one.pid)).toEqual([pid]);
    const started = await startTime(source, pid);
    expect(await isAlive(source, pid, started)).toBe(true);
    expect(await isAlive(source, pid, started + 1)).toBe(false);
    expect(await sameRoot(source, pid, process.pid)).toBe(true);
    expect(await cmdline(source, pid)).toContain('a-name-for-this-test');
  });
});

describe('errors', () => {
  const gone = { code: 'not-found', message: expect.stringMatching(/process 4194303 does not exist/) };

  test('a process that is not there', async () => {
    await expect(inspectProcess(source, 4194303)).rejects.toMatchObject(gone);
    await expect(status(source, 4194303)).rejects.toMatchObject(gone);
    await expect(namespaceInode(source, 4194303, 'mnt')).rejects.toMatchObject(gone);
    await expect(sharedNamespaces(source, process.pid, 4194303)).rejects.toMatchObject(gone);
    await expect(mountInfo(source, 4194303)).rejects.toMatchObject(gone);
  });

  test.each([0, -1, 1.5, Number.NaN, 4194305])('%s is no pid', async (pid) => {
    await expect(inspectProcess(source, pid)).rejects.toMatchObject({ code: 'usage' });
  });

  test('one that the reader may not look at', async () => {
    const { files, links } = wholeProcess();
    const hidden = fakeProc({ files, links: { ...links, '/proc/42/ns/user': '<EACCES>' } });
    await expect(inspectProcess(hidden, 42)).rejects.toMatchObject({
      code: 'permission',
      message: expect.stringMatching(/process 42 may not be looked at .*be root/),
    });
  });

  test('one whose number another takes while it is looked at', async () => {
    const { files, links } = wholeProcess();
    let reads = 0;
    const plain = fakeProc({ files, links });
    const changing: ProcSource = {
      ...plain,
      readFile: async (path, max) =>
        path === '/proc/42/stat' ? Buffer.from(stat('sleep', 5000 + reads++)) : plain.readFile(path, max),
    };
    await expect(inspectProcess(changing, 42)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a machine that is gone is that error, not a gap in the facts', async () => {
    const plain = fakeProc(wholeProcess());
    const dead: ProcSource = {
      ...plain,
      readFile: async (path, max) => {
        if (path === '/proc/42/oom_score') throw new TareError('machine', 'the machine has ended');
        return plain.readFile(path, max);
      },
    };
    await expect(inspectProcess(dead, 42)).rejects.toMatchObject({ code: 'machine' });
  });
});

describe('a whole process, from text', () => {
  test('every fact', async () => {
    const facts = await inspectProcess(fakeProc(wholeProcess()), 42);
    expect(facts).toMatchObject({
      exe: '/usr/bin/sleep',
      cmdline: ['sleep', '100'],
      machine: { from: 'pid 1' },
      capabilities: { effective: ['CAP_CHOWN', 'CAP_SYS_ADMIN'], ambient: [] },
      seccomp: { mode: 'filter', filters: 2 },
      label: 'docker-default (enforce)',
      oom: { score: 666, adjust: -500 },
      resourceLimits: { RLIMIT_CPU: { soft: null, hard: null }, RLIMIT_NOFILE: { soft: 1024, hard: 524288 } },
      descriptors: 2,
      limits: { memory: { own: 67108864 }, pids: { own: null } },
      unreadable: [],
    });
    expect(Object.keys(facts.namespaces)).toEqual([...NAMESPACE_TYPES]);
  });

  test('what may not be read is told, the rest is there', async () => {
    const { files, links } = wholeProcess();
    const part = fakeProc({
      files: { ...files, '/proc/42/mountinfo': '<EACCES>' },
      links: { ...links, '/proc/42/root': '<EACCES>' },
    });
    expect(await inspectProcess(part, 42)).toMatchObject({ unreadable: ['root', 'mountinfo'], root: null, mounts: [] });
  });
});

describe('hostile content', () => {
  test('any text in any file: facts, or a TareError, and nothing else', async () => {
    const { files, links } = wholeProcess();
    const nasty = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom(
        '',
        '\0',
        '\n'.repeat(1000),
        '9'.repeat(400),
        '-1',
        '1e9',
        '<EIO>',
        '<ENOENT>',
        '<EACCES>',
        '<ESRCH>',
      ),
      fc
        .constantFrom(...Object.values(files), ...Object.values(links))
        .chain((text) =>
          fc
            .tuple(fc.nat(text.length), fc.string({ unit: 'binary', maxLength: 5 }))
            .map(([at, put]) => text.slice(0, at) + put + text.slice(at + 1)),
        ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.subarray([...Object.keys(files), ...Object.keys(links)]),
        fc.array(nasty, { minLength: 1 }),
        async (paths, texts) => {
          const changed = { files: { ...files }, links: { ...links } };
          for (const [i, path] of paths.entries()) {
            const text = texts[i % texts.length] as string;
            if (path in files) changed.files[path] = text;
            else changed.links[path] = text;
          }
          try {
            await inspectProcess(fakeProc(changed), 42);
          } catch (error) {
            expect(error).toBeInstanceOf(TareError);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('reads are bounded: the source is asked for no more than a kernel writes', async () => {
    const plain = fakeProc(wholeProcess());
    const asked: [string, number | undefined][] = [];
    const watching: ProcSource = {
      ...plain,
      readFile: async (path, max) => {
        asked.push([path, max]);
        return plain.readFile(path, max);
      },
    };
    await inspectProcess(watching, 42);
    for (const [path, max = 4 << 20] of asked) expect([path, max <= 16 << 20]).toEqual([path, true]);
    const endless: ProcSource = {
      ...plain,
      readFile: async (path, max) => {
        if (path === '/proc/42/status') throw failure('EFBIG', path);
        return plain.readFile(path, max);
      },
    };
    await expect(inspectProcess(endless, 42)).rejects.toMatchObject({ code: 'protocol' });
  });

  test('a listing of more processes than there can be is refused', async () => {
    const many: ProcSource = { ...source, readdir: async () => Array.from({ length: 70_000 }, (_, i) => `${i + 1}`) };
    await expect(findProcesses(many, () => true)).rejects.toMatchObject({ code: 'protocol' });
  });
});

test('localProc stops at the bound', async () => {
  await expect(source.readFile('/proc/self/status', 10)).rejects.toMatchObject({ code: 'EFBIG' });
  await expect(source.readFile('/dev/zero', 100_000)).rejects.toMatchObject({ code: 'EFBIG' });
  expect((await source.readFile('/proc/self/status')).toString()).toContain('CapEff');
});
