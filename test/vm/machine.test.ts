import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { encodePlan } from '../../runtime/plan/encode.js';
import { decodeReport } from '../../runtime/plan/reports.js';
import { createProvider, type Machine, type MachineProvider } from '../../runtime/vm/index.js';

const CLONE_NEWUTS = 0x4000000;

let provider: MachineProvider;
let machine: Machine;
beforeAll(async () => {
  provider = await createProvider();
  machine = await provider.create();
}, 300_000);
afterAll(() => provider?.close());

const sh = async (script: string) => (await machine.exec(['bash', '-c', script])).stdout.toString();

describe('a machine from the snapshot', () => {
  it('is restored, and is Linux with its own everything', async () => {
    expect([machine.restored, machine.accelerator]).toEqual([true, expect.stringMatching(/^(kvm|tcg)$/)]);
    expect(await sh('uname -n; id -u; cat /proc/1/comm')).toBe('lab\n0\ninit\n');
  });

  it('has what a learner expects', async () => {
    const programs = [
      'unshare',
      'nsenter',
      'lsns',
      'ip',
      'nft',
      'strace',
      'ps',
      'capsh',
      'gcc',
      'man',
      'nano',
      'vi',
      'less',
      'busybox',
      'node',
      'tree',
    ];
    expect(await sh(`for p in ${programs.join(' ')}; do command -v $p > /dev/null || echo $p is missing; done`)).toBe(
      '',
    );
    expect(await sh('man -w 2 unshare 2 pivot_root 7 namespaces 7 user_namespaces 2 setns 2 clone | wc -l')).toBe(
      '6\n',
    );
    expect(await sh('node -p 1+1')).toBe('2\n');
    expect(await sh("cd /tmp && echo 'int main(void) { return 3; }' > a.c && gcc a.c && ./a.out; echo $?")).toBe('3\n');
  }, 120_000);

  it('has cgroup2 with its controllers delegated, and loopback up', async () => {
    const controllers = (await machine.readFile('/sys/fs/cgroup/cgroup.subtree_control')).toString().trim().split(' ');
    expect(controllers).toEqual(expect.arrayContaining(['cpu', 'io', 'memory', 'pids', 'cpuset']));
    expect(await sh('mkdir /sys/fs/cgroup/try && cat /sys/fs/cgroup/try/memory.max && rmdir /sys/fs/cgroup/try')).toBe(
      'max\n',
    );
    expect(await sh('ping -c 1 -W 5 127.0.0.1 > /dev/null && echo up')).toBe('up\n');
  });

  it('loads modules when they are needed', async () => {
    expect(await sh('ip link add v0 type veth peer name v1 && ip -br link show v1 && ip link del v0')).toMatch(
      /^v1@v0/,
    );
    expect(await sh('nft add table inet t && nft list tables')).toBe('table inet t\n');
  });

  it('can make every namespace, pivot_root and overlay', async () => {
    expect(
      await sh(
        'unshare --mount --uts --ipc --net --pid --cgroup --time --fork --mount-proc sh -c "echo $$; ps -e | wc -l"',
      ),
    ).toMatch(/\n3\n$|\n4\n$/);
    const overlay =
      'mkdir -p /tmp/o/{l,u,w,m} && mount -t overlay o -o lowerdir=/tmp/o/l,upperdir=/tmp/o/u,workdir=/tmp/o/w /tmp/o/m';
    expect(
      await sh(
        `unshare --mount sh -c '${overlay.replace('{l,u,w,m}', 'l /tmp/o/u /tmp/o/w /tmp/o/m')} && echo mounted'`,
      ),
    ).toBe('mounted\n');
    const pivot = 'mount -t tmpfs t /mnt && mkdir /mnt/old && cd /mnt && pivot_root . old && echo turned';
    expect(await sh(`unshare --mount sh -c '${pivot}'`)).toBe('turned\n');
  });

  it('is read like this machine', async () => {
    expect((await machine.readFile('/proc/1/status')).toString()).toContain('Name:\tinit');
    expect(await machine.readlink('/proc/1/ns/mnt')).toMatch(/^mnt:\[\d+\]$/);
    expect(await machine.readdir('/proc')).toEqual(expect.arrayContaining(['1', 'self', 'mounts']));
    expect((await machine.stat('/dev/null')).rdev).toBe(0x103);
    await expect(machine.readFile('/proc/99999999/status')).rejects.toMatchObject({
      code: 'ENOENT',
      path: '/proc/99999999/status',
    });
    const data = randomBytes(2 << 20);
    await machine.writeFile('/tmp/data', data, 0o755);
    expect((await machine.readFile('/tmp/data')).equals(data)).toBe(true);
  });

  it('opens terminals side by side, each with its size', async () => {
    const sizes = [
      [80, 24],
      [132, 50],
      [40, 10],
    ] as const;
    const terminals = await Promise.all(sizes.map(([columns, rows]) => machine.openTerminal({ columns, rows })));
    try {
      const said = await Promise.all(
        terminals.map(
          (terminal) =>
            new Promise<string>((resolve) => {
              let text = '';
              terminal.onData((data) => {
                text += data.toString();
                const size = /size is (\d+ \d+)/.exec(text);
                if (size) resolve(size[1] as string);
              });
              terminal.write('echo "size is $(stty size)"\r');
            }),
        ),
      );
      expect(said).toEqual(sizes.map(([columns, rows]) => `${rows} ${columns}`));
    } finally {
      for (const terminal of terminals) terminal.close();
      await Promise.all(terminals.map((terminal) => terminal.exited));
    }
  });

  it('stays quick beside a flooding terminal that nobody reads', async () => {
    const flood = await machine.openTerminal({
      columns: 80,
      rows: 24,
      argv: ['sh', '-c', 'yes | head -c 600000; echo THE-END'],
    });
    let size = 0;
    let tail = '';
    flood.onData((data) => {
      size += data.length;
      tail = (tail + data.toString()).slice(-20);
    });
    flood.pause();
    const reads = await Promise.all(Array.from({ length: 50 }, () => machine.readFile('/proc/self/stat')));
    expect(reads.length).toBe(50);
    flood.resume();
    expect(await flood.exited).toBe(0);
    expect([size, tail.includes('THE-END')]).toEqual([900000 + 'THE-END\r\n'.length, true]);
  });

  it('tells of activity: a process, and a mount', async () => {
    const told = () =>
      new Promise<void>((resolve) => {
        const undo = machine.onActivity(() => {
          undo();
          resolve();
        });
      });
    const process = told();
    await machine.exec(['true']);
    await process;
    const mount = told();
    await machine.exec(['mount', '-t', 'tmpfs', 'activity', '/mnt']);
    await mount;
    await machine.exec(['umount', '/mnt']);
  });

  it('runs a plan under its own stage', async () => {
    const b = new PlanBuilder();
    const init = b.outside.clone({ lane: 'inside', flags: CLONE_NEWUTS, cgroup: 'none' });
    b.inside.sethostname({ name: 'planned' });
    b.inside.exec({
      candidates: ['/bin/sh'],
      argv: ['sh', '-c', 'uname -n > /tmp/planned; exit 7'],
      env: ['PATH=/usr/bin:/bin'],
    });
    b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
    const { reports } = await machine.runPlan(encodePlan(b.build()), { trace: true });
    const decoded = reports.map(({ data }) => decodeReport(data));
    expect(decoded.find(({ type }) => type === 'exited')).toMatchObject({ value: 7 << 8 });
    expect((await machine.readFile('/tmp/planned')).toString()).toBe('planned\n');
    expect(new Set(reports.map(({ lane }) => lane))).toEqual(new Set([0, 1]));
  });

  it('has no network beyond itself', async () => {
    expect(await machine.readdir('/sys/class/net')).toEqual(['lo']);
  });
});
