/**
 * The cgroup library on a kernel that has version 2 and nothing else, in a virtual machine: every limit, changes, freezing,
 * counting, out-of-memory, killing, and where further processes join. The machine runs cgroup-v2-scenario.mjs; here is what must come out.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { createProvider } from '../../runtime/vm/index.js';

const M = 2 ** 20;
const X = '/sys/fs/cgroup/live/x';
// biome-ignore lint/suspicious/noExplicitAny: what it is, is what is tested
let found: Record<string, any>;

beforeAll(async () => {
  const provider = await createProvider();
  try {
    const machine = await provider.create();
    try {
      const scenario = fileURLToPath(new URL('cgroup-v2-scenario.mjs', import.meta.url));
      await machine.writeFile('/tmp/scenario.mjs', readFileSync(scenario, 'utf8'));
      const ran = await machine.exec(['node', '/tmp/scenario.mjs'], { timeoutMs: 200_000 });
      expect([ran.status, ran.stderr.toString()]).toEqual([0, '']);
      found = JSON.parse(ran.stdout.toString());
    } finally {
      await machine.close();
    }
  } finally {
    await provider.close();
  }
}, 400_000);

describe('on version 2 alone', () => {
  it('every limit is where the kernel reads it', () => {
    expect(found.layout).toBe('v2');
    expect(found.unenforced).toEqual([]);
    expect(found.ignored).toEqual(['linux.resources.memory.swappiness', 'linux.resources.memory.disableOOMKiller']);
    expect(found.files).toEqual({
      'memory.max': String(64 * M),
      'memory.swap.max': String(32 * M),
      'memory.low': String(32 * M),
      'memory.high': String(48 * M),
      'cpu.weight': '59',
      'cpu.max': '50000 100000',
      'cpu.max.burst': '1000',
      'cpuset.cpus': '0',
      'cpuset.mems': '0',
      'pids.max': '50',
      'io.max': `254:16 rbps=2097152 wbps=max riops=max wiops=120\n254:0 rbps=${M} wbps=max riops=max wiops=7`,
      'hugetlb.2MB.max': '0',
      'hugetlb.2MB.rsvd.max': '0',
    });
    expect(found.weight).toEqual(['default 7475']);
  });

  it('who names a cgroup has every controller in it, as other runtimes do', () => {
    const [all, own] = found.controllers;
    expect(own).toBe(all);
  });

  it('the container’s user is given the cgroup, but none of its limits', () => {
    expect(found.owners).toEqual([1000, 1000, 1000, 0]);
  });

  it('limits change together, or not at all', () => {
    const tooSmall =
      'memory.swap counts memory and swap together, so 100663296 cannot be less than memory.limit 134217728';
    const noRealtime =
      'linux.resources.cpu.realtimeRuntime cannot be changed here: version 2 has no limit of real-time scheduling';
    expect(found.updates).toEqual([
      ['done', `${80 * M} ${16 * M}`],
      [tooSmall, `${80 * M} ${16 * M}`],
      ['done', 'max max'],
      ['done', 'max 100000'],
      ['done', '1'],
      ['done', '100'],
      [noRealtime, ''],
      ['done', `${64 * M} 0`],
    ]);
  });

  it('processes are stopped and go on, and all are known', () => {
    expect(found.members).toBe(2);
    expect(found.frozen).toEqual([true, true]);
    expect(found.thawed).toEqual([false, true]);
  });

  it('what was used is in the shape of runc events', () => {
    expect(found.stats).toMatchObject({
      cpu: { usage: { total: expect.any(Number) }, psi: { some: { avg10: expect.any(Number) } } },
      memory: {
        usage: { limit: 64 * M, usage: expect.any(Number), max: expect.any(Number), failcnt: 0 },
        swap: { limit: 64 * M, failcnt: 0 },
        raw: { anon: expect.any(Number) },
        psi: {},
      },
      pids: { current: 2, limit: 50 },
      hugetlb: { '2MB': { failcnt: 0 }, '1GB': { failcnt: 0 } },
      network_interfaces: [],
    });
    const read = found.stats.blkio.ioServiceBytesRecursive.find(
      (entry: { minor: number; op: string }) => entry.minor === 16 && entry.op === 'Read',
    );
    expect(read).toEqual({ major: 254, minor: 16, op: 'Read', value: expect.any(Number) });
    // And what of the programs had not been read before, in pages.
    expect(read.value).toBeGreaterThanOrEqual(256 * 1024);
    expect(read.value).toBeLessThan(2 * M);
    expect(found.stats.blkio.ioServicedRecursive).toContainEqual({
      major: 254,
      minor: 16,
      op: 'Read',
      value: expect.any(Number),
    });
    expect(found.text).toContain('"usage":{"limit":18446744073709551615,');
  });

  it('out of memory is told, and so is the end', () => {
    expect(found.killed).toEqual([null, 'SIGKILL']);
    expect(found.oom).toEqual({ done: false });
    expect(found.end).toEqual({ done: true });
    expect(found.left).toEqual([]);
  });

  it('a further process goes where the first has moved to, once the container’s own cgroup takes none', () => {
    expect(found.joins).toEqual([[X], [`${X}/init.scope`]]);
    expect(found.sub).toEqual([`${X}/init.scope`]);
  });

  it('a limit below a cgroup that holds processes is refused, and the rest goes on', () => {
    expect(found.crowded).toMatchObject([
      {
        field: 'linux.resources.pids.limit',
        why: expect.stringContaining('the cgroup /sys/fs/cgroup/pod holds processes itself'),
      },
    ]);
  });
});
