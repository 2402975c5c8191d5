/**
 * Attack 27: a container takes all that it can get: processes, memory, disk, open files. What it may have is limited; it gets a clear
 * error, and the host goes on.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { detectCgroups } from '../../runtime/kernel/cgroup/index.js';
import { makeBundle } from '../harness/bundle.js';
import { makeRootfs } from '../harness/rootfs.js';
import { until } from '../harness/until.js';
import { inWorld, type World } from '../harness/world.js';

/** A file of the container's cgroup, in whichever hierarchy has it. */
function cgroupFile(world: World, id: string, file: string): string | undefined {
  for (const { mountPoint } of detectCgroups().hierarchies) {
    const path = join(mountPoint, world.cgroup, id, file);
    if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  }
  return undefined;
}

const run = (world: World, options: readonly string[], script: string) =>
  world.tare(['run', '--rootfs', makeRootfs(join(world.folder, 'rootfs')), ...options, '--', 'sh', '-c', script]);

describe('a fork bomb', () => {
  it('stays within its number of processes, and goes with its container', () =>
    inWorld('attack27-fork', async (world) => {
      const ran = run(world, ['--name', 'bomb', '--pids-limit', '30'], 'f() { f | f & }; f; exec sleep 1000');
      // It has met its limit, more than once.
      await until(() => Number(/^max (\d+)$/m.exec(cgroupFile(world, 'bomb', 'pids.events') ?? '')?.[1] ?? 0) > 1);
      expect(Number(cgroupFile(world, 'bomb', 'pids.current'))).toBeLessThanOrEqual(30);
      // The host, and whoever is beside it, can start what they want.
      expect(await world.run(['sh', '-c', 'true & true & wait; echo alive'])).toMatchObject({ stdout: 'alive\n' });
      expect(await world.tare(['delete', '--force', 'bomb'])).toMatchObject({ status: 0, stderr: '' });
      expect((await ran).status).toBe(137);
      expect(cgroupFile(world, 'bomb', 'pids.events')).toBeUndefined();
    }));

  it('is told what it met', () =>
    inWorld('attack27-told', async (world) => {
      const script = 'i=0; while [ $i -lt 50 ]; do sleep 1000 & i=$((i+1)); done';
      const ran = await run(world, ['--pids-limit', '10'], script);
      expect(ran.stderr).toContain("can't fork: Resource temporarily unavailable");
      expect(ran.status).toBe(2);
    }));
});

describe('a memory hog', () => {
  it('is killed, and its user is told why', () =>
    inWorld('attack27-memory', async (world) => {
      const ran = await run(world, ['--memory', '16m'], 'exec dd if=/dev/zero of=/dev/null bs=200M count=1');
      expect(ran.status).toBe(137);
      expect(ran.stderr).toBe('tare: warning: the container was killed by the kernel: it reached its memory limit\n');
    }));

  it('that is not the container’s first process leaves it to say so itself', () =>
    inWorld('attack27-child', async (world) => {
      const script = 'dd if=/dev/zero of=/dev/null bs=200M count=1; echo "ended with $?"';
      expect(await run(world, ['--memory', '16m'], script)).toMatchObject({ status: 0, stdout: 'ended with 137\n' });
    }));

  it('cannot hide in files of memory, of which each has a size', () =>
    inWorld('attack27-shm', async (world) => {
      const fill = (file: string) => `dd if=/dev/zero of=${file} bs=1M count=200; wc -c < ${file}; rm ${file}`;
      const { stdout, stderr } = await run(world, [], `${fill('/dev/shm/x')}; ${fill('/dev/x')}; echo alive`);
      expect(stdout.trim().split('\n')).toEqual([String(64 << 20), String(64 << 20), 'alive']);
      expect(stderr.match(/No space left on device/g)).toHaveLength(2);
    }));

  it('nor fill them beyond its own limit', () =>
    inWorld('attack27-tmpfs', async (world) => {
      const limited = await run(world, ['--memory', '16m'], 'exec dd if=/dev/zero of=/dev/shm/x bs=1M count=60');
      expect(limited.status).toBe(137);
    }));
});

describe('a disk filler', () => {
  it('finds nothing to write to in a read-only root file system', () =>
    inWorld('attack27-disk', async (world) => {
      const rootfs = join(world.folder, 'rootfs');
      const ran = await run(
        world,
        ['--read-only'],
        'for d in / /root /tmp /var /etc; do echo x > $d/fill; done; echo over',
      );
      expect(ran.stdout).toBe('over\n');
      expect(ran.stderr.match(/Read-only file system/g)).toHaveLength(5);
      expect(readdirSync(join(rootfs, 'tmp'))).toEqual([]);
    }));

  it('meets the size that a file may have', () =>
    inWorld('attack27-fsize', async (world) => {
      const script =
        'dd if=/dev/zero of=/tmp/x bs=1M count=5 2> /dev/null; echo $?; ulimit -f unlimited; wc -c < /tmp/x';
      const limit = { type: 'RLIMIT_FSIZE' as const, soft: 1 << 20, hard: 1 << 20 };
      const { path } = makeBundle(world, script, { process: { rlimits: [limit] } });
      const ran = await world.tare(['run', '--bundle', path]);
      // 153: SIGXFSZ. Nor can it have more for the asking.
      expect(ran.stdout.trim().split('\n')).toEqual(['153', String(1 << 20)]);
      expect(ran.stderr).toContain('Operation not permitted');
    }));
});

it('a hog of open files meets its own limit, not the host’s', () =>
  inWorld('attack27-files', async (world) => {
    const limit = { type: 'RLIMIT_NOFILE' as const, soft: 40, hard: 40 };
    const open = 'i=3; while [ $i -lt 40 ]; do eval "exec $i< /dev/null" || exit 5; i=$((i+1)); done; echo $i';
    const { path } = makeBundle(world, `${open}; cat /dev/null; ulimit -n 100; echo over`, {
      process: { rlimits: [limit] },
    });
    const ran = await world.tare(['run', '--bundle', path]);
    // Nor can it have more for the asking.
    expect(ran.stdout).toBe('40\nover\n');
    expect(ran.stderr.trim().split('\n')).toEqual([
      "cat: can't open '/dev/null': Too many open files",
      'sh: error setting limit: Operation not permitted',
    ]);
  }));
