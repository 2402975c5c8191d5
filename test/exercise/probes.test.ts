/** Probes: which processes are found, which one is held, and where a root directory really is. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { furthest, hold, isNamespaceRoot, noted, type Process, processes } from '../../runtime/exercise/probes.js';
import type { Probe } from '../../runtime/exercise/types.js';
import { localProc, type ProcSource } from '../../runtime/inspect/index.js';
import { noRootfs, temporaryRootfs } from '../harness/rootfs.js';
import { makeWorld, type World } from '../harness/world.js';

const process = (pid: number, startTime: number): Process => ({ pid, comm: 'sh', parent: 1, startTime });

describe('hold', () => {
  const probe = (): Probe => ({
    proc: localProc(),
    vars: {},
    memory: new Map(),
    readInside: async () => undefined,
  });

  it('finds the same process again while it is there', async () => {
    const held = probe();
    expect(await hold(held, 'it', () => [process(5, 50)])).toMatchObject({ pid: 5 });
    expect(await hold(held, 'it', () => [process(5, 50), process(9, 90)])).toMatchObject({ pid: 5 });
  });

  it('takes another once it is gone, or its pid is another process’s', async () => {
    const held = probe();
    await hold(held, 'it', () => [process(5, 50)]);
    expect(await hold(held, 'it', () => [process(9, 90)])).toMatchObject({ pid: 9 });
    await hold(held, 'other', () => [process(5, 50)]);
    expect(await hold(held, 'other', () => [process(5, 51), process(7, 70)])).toMatchObject({ pid: 7 });
    expect(await hold(held, 'it', () => [])).toBeUndefined();
  });

  it('notes a fact once', async () => {
    const held = probe();
    expect(await noted(held, 'fact', async () => 1)).toBe(1);
    expect(await noted(held, 'fact', async () => 2)).toBe(1);
  });
});

describe('furthest', () => {
  const shells = [process(5, 50), process(7, 70), process(9, 90)];

  it('is the highest score, and the newest among equals', async () => {
    expect(await furthest(shells, async ({ pid }) => (pid === 7 ? 1 : 0))).toMatchObject({ pid: 7 });
    expect(await furthest(shells, async () => 0)).toMatchObject({ pid: 9 });
    expect(await furthest([], async () => 0)).toBeUndefined();
  });

  it('puts one that vanishes while it is looked at last', async () => {
    const score = async ({ pid }: Process) => {
      if (pid === 9) throw Object.assign(new Error('gone'), { code: 'ESRCH' });
      return 0;
    };
    expect(await furthest(shells, score)).toMatchObject({ pid: 7 });
  });
});

describe('processes', () => {
  it('leaves out kernel threads, zombies, and those that vanish', async () => {
    const stat = (pid: number, comm: string, state: string, parent: number) => [
      [`/proc/${pid}/stat`, `${pid} (${comm}) ${state} ${parent} ${'0 '.repeat(17)}${pid}0 0 0`],
      [`/proc/${pid}/comm`, `${comm}\n`],
      [
        `/proc/${pid}/status`,
        `Name:\t${comm}\nState:\t${state} (x)\nTgid:\t${pid}\nPid:\t${pid}\nPPid:\t${parent}\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nNSpid:\t${pid}\nThreads:\t1\nCapInh:\t0\nCapPrm:\t0\nCapEff:\t0\nCapBnd:\t0\n`,
      ],
    ];
    const files = new Map([
      ...stat(1, 'init', 'S', 0),
      ...stat(2, 'kthreadd', 'S', 0),
      ...stat(3, 'kworker', 'I', 2),
      ...stat(4, 'late thread', 'I', 2),
      ...stat(5, 'dead', 'Z', 1),
      ...stat(7, 'odd ) name', 'S', 1),
    ] as [string, string][]);
    files.set('/proc/2/task/2/children', '3 ');
    const gone = (path: string) => Object.assign(new Error(path), { code: 'ENOENT' });
    const proc: ProcSource = {
      readFile: async (path) => {
        const text = files.get(path);
        if (text === undefined) throw gone(path);
        return Buffer.from(text);
      },
      readlink: async (path) => {
        throw gone(path);
      },
      readdir: async () => ['1', '2', '3', '4', '5', '6', '7', 'self', 'meminfo'],
      stat: async (path) => {
        throw gone(path);
      },
    };
    expect((await processes(proc)).map(({ pid, comm }) => `${pid} ${comm}`)).toEqual(['1 init', '7 odd ) name']);
  });
});

describe('the root of a mount namespace', () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld('probes');
  });
  afterAll(() => world.close());

  const ways = [
    { name: 'is told from a chroot', script: 'exec chroot . /bin/sleep 100', expected: false },
    {
      name: 'is found after pivot_root',
      script: 'mkdir old && pivot_root . old && exec /bin/sleep 100',
      expected: true,
    },
  ];
  for (const { name, script, expected } of ways) {
    it(name, async (ctx) => {
      const reason = noRootfs();
      if (reason) return ctx.skip(reason);
      const { rootfs, remove } = temporaryRootfs();
      const move = `mount --bind ${rootfs} ${rootfs} && cd ${rootfs} && ${script}`;
      const child = world.start(['unshare', '--mount', 'sh', '-c', move]);
      try {
        const pid = await sleeper(rootfs);
        expect(await isNamespaceRoot(localProc(), pid)).toBe(expected);
        expect(await isNamespaceRoot(localProc(), world.pid)).toBe(true);
      } finally {
        child.kill('SIGKILL');
        remove();
      }
    });
  }
});

/** The process whose program is the busybox of this root file system, once it runs there. */
async function sleeper(rootfs: string): Promise<number> {
  const proc = localProc();
  const wanted = await proc.stat(join(rootfs, 'bin/busybox'));
  for (let tries = 0; tries < 200; tries++) {
    for (const name of await proc.readdir('/proc')) {
      const exe = /^\d+$/.test(name) ? await proc.stat(`/proc/${name}/exe`).catch(() => undefined) : undefined;
      if (exe?.dev === wanted.dev && exe.ino === wanted.ino) return Number(name);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing runs in ${rootfs}`);
}
