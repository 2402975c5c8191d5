/** The container that `tare run --rootfs` makes, as the kernel shows it from outside and from within. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectProcess, localProc, type ProcessFacts } from '../../runtime/inspect/index.js';
import { DEFAULT_CAPABILITIES } from '../../runtime/kernel/capabilities.js';
import { makeRootfs } from '../harness/rootfs.js';
import { until } from '../harness/until.js';
import { inWorld, type World } from '../harness/world.js';

/** Runs `sleep` in a container with these options, and looks at it from the host. */
async function lookAt(
  world: World,
  options: string[],
  look: (facts: ProcessFacts, pid: number) => void | Promise<void>,
) {
  const rootfs = makeRootfs(join(world.folder, 'rootfs'));
  const running = world.run([
    'sh',
    '-c',
    'tare run --name box "$@" & wait $!; echo "ended with $?"',
    'sh',
    '--rootfs',
    rootfs,
    ...options,
    '--',
    'sleep',
    '1000',
  ]);
  try {
    const pid = await firstProcess(`/sys/fs/cgroup/pids${world.cgroup}/box/cgroup.procs`);
    await look(await inspectProcess(localProc(), pid), pid);
  } finally {
    await world.tare(['delete', '--force', 'box']);
  }
  expect((await running).stdout).toBe('ended with 137\n');
}

/** The pid, on the host, of the program in a cgroup, once it has taken the place of stage. */
async function firstProcess(procs: string): Promise<number> {
  return until(() => {
    try {
      const pid = Number(readFileSync(procs, 'utf8').split('\n')[0]);
      return pid > 0 && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sleep' && pid;
    } catch (error) {
      if (['ENOENT', 'ENODEV', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  });
}

describe('the default container, from outside', () => {
  it('has namespaces, capabilities, filter and limits of its own', () =>
    inWorld('default', async (world) => {
      await lookAt(world, ['--memory', '64m', '--pids-limit', '32', '--cpus', '0.5'], async (facts) => {
        const outside = await inspectProcess(localProc(), world.pid);
        for (const type of ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'] as const) {
          expect(facts.namespaces[type], type).not.toBe(outside.namespaces[type]);
        }
        expect(facts.namespaces.user).toBe(outside.namespaces.user);
        expect(facts.capabilities).toEqual({
          bounding: [...DEFAULT_CAPABILITIES],
          permitted: [...DEFAULT_CAPABILITIES],
          effective: [...DEFAULT_CAPABILITIES],
          inheritable: [],
          ambient: [],
        });
        expect(facts.noNewPrivs).toBe(true);
        expect(facts.seccomp).toEqual({ mode: 'filter', filters: 1 });
        expect(facts.limits).toMatchObject({ memory: { effective: 67108864 }, pids: { effective: 32 } });
        expect(facts.limits.cpu?.effective).toBe(0.5);
        expect(facts.session).not.toBe(outside.session);
        expect(facts.groups).toEqual([]);
        expect(facts.descriptors).toBe(3);
        expect(facts.nsPids.at(-1)).toBe(1);

        const mounts = new Map(facts.mounts.map((mount) => [mount.mountPoint, mount]));
        for (const [point, type] of Object.entries(MOUNTS)) expect(mounts.get(point)?.fsType, point).toBe(type);
        for (const point of ['/sys', '/sys/fs/cgroup', '/proc/sys', '/proc/irq', '/proc/keys']) {
          expect(mounts.get(point)?.options, point).toContain('ro');
        }
        expect(
          facts.mounts.every((mount) => mount.mountPoint === '/' || !mount.mountPoint.includes(world.folder)),
        ).toBe(true);
      });
    }));

  it('has the limits in its cgroup, where the kernel enforces them', () =>
    inWorld('limits', async (world) => {
      await lookAt(world, ['--memory', '64m', '--pids-limit', '32'], () => {
        const limit = (controller: string, file: string) =>
          readFileSync(`/sys/fs/cgroup/${controller}${world.cgroup}/box/${file}`, 'utf8').trim();
        expect(limit('memory', 'memory.limit_in_bytes')).toBe('67108864');
        expect(limit('pids', 'pids.max')).toBe('32');
      });
    }));
});

const MOUNTS = {
  '/proc': 'proc',
  '/dev': 'tmpfs',
  '/dev/pts': 'devpts',
  '/dev/shm': 'tmpfs',
  '/dev/mqueue': 'mqueue',
  '/sys': 'sysfs',
};

describe('the default container, from within', () => {
  it('is alone, and sees its own devices, names and network', () =>
    inWorld('within', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const script = `
        echo "pid $$"; hostname
        echo /proc/[0-9]*
        ip -o addr show lo | grep -c 127.0.0.1
        ip -o link | wc -l
        for d in null zero full random urandom tty; do test -c /dev/$d || echo "no $d"; done
        readlink /dev/fd; readlink /dev/ptmx
        echo x > /dev/null && head -c 3 /dev/zero | wc -c
        cat /proc/timer_list | wc -c
        ls /sys/firmware | wc -l
        (echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo "proc/sys is read-only"
        (mkdir /sys/fs/cgroup/x) 2>/dev/null || echo "cgroups are read-only"
        (mount -t tmpfs x /tmp) 2>/dev/null || echo "no mount"
        (unshare -U true) 2>/dev/null || echo "no unshare"
        cut -d: -f3 /proc/self/cgroup | sort -u
        umask; pwd; echo "$HOME"; env | sort | cut -d= -f1 | tr '\\n' ' '`;
      const { stdout, stderr, status } = await world.tare([
        'run',
        '--rootfs',
        rootfs,
        '--hostname',
        'box',
        '--',
        'sh',
        '-c',
        script,
      ]);
      expect(stdout.split('\n').map((line) => line.trim())).toEqual([
        'pid 1',
        'box',
        '/proc/1',
        '1',
        '1',
        '/proc/self/fd',
        'pts/ptmx',
        '3',
        '0',
        '0',
        'proc/sys is read-only',
        'cgroups are read-only',
        'no mount',
        'no unshare',
        '/',
        '0022',
        '/',
        '/root',
        'HOME PATH PWD SHLVL',
      ]);
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    }));

  it('takes options for user, directory, environment, volumes and a read-only root', () =>
    inWorld('options', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const { stdout } = await world.tare([
        'run',
        '--rootfs',
        rootfs,
        '-u',
        '1000:100',
        '-w',
        '/tmp',
        '-e',
        'A=b',
        '-e',
        'PATH=/bin',
        '--read-only',
        '-v',
        `${rootfs}/etc:/var/etc:ro`,
        '-v',
        `${rootfs}/etc/passwd:/new/file`,
        '--',
        'sh',
        '-c',
        'id -u; id -g; pwd; echo $A $PATH; ls /var/etc /new; touch /x 2>&1; touch /var/etc/x 2>&1; grep CapEff /proc/self/status',
      ]);
      expect(stdout.split('\n')).toEqual([
        '1000',
        '100',
        '/tmp',
        'b /bin',
        '/new:',
        'file',
        '',
        '/var/etc:',
        'passwd',
        'touch: /x: Read-only file system',
        'touch: /var/etc/x: Read-only file system',
        'CapEff:\t0000000000000000',
        '',
      ]);
    }));

  it('with --init has its zombies reaped', () =>
    inWorld('init', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const orphan =
        "sh -c 'sleep 0.1 & exit 0'; sleep 0.5; ps | grep -c '[Zz]ombie\\|\\[sleep\\]'; ps -o pid,comm | head -2 | tail -1; exit 5";
      const { stdout, status } = await world.tare(['run', '--rootfs', rootfs, '--init', '--', 'sh', '-c', orphan]);
      expect(stdout.trim().split('\n')[0]).toBe('0');
      expect(stdout).toMatch(/\b1 /);
      expect(status).toBe(5);
    }));
});
