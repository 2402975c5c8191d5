/** The tiny programs of the chapters, run for real, and looked at from inside. */
import { mkdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { noRootfs, temporaryRootfs } from '../harness/rootfs.js';
import { makeWorld, type World } from '../harness/world.js';

let world: World;
beforeAll(async () => {
  world = await makeWorld('tiny');
});
afterAll(async () => {
  expect(await world.leaks()).toEqual([]);
  await world.close();
});

/** Runs dist/chapters/NN-name/tiny.js, as a learner does. */
function tiny(chapter: string, ...args: string[]) {
  return world.run([process.execPath, join(packageRoot(), 'dist/chapters', chapter, 'tiny.js'), ...args]);
}

describe('tiny, chapter 1', () => {
  it('runs a program as pid 1, in the namespaces that it has otherwise', async () => {
    const ran = await tiny('01-process', '/bin/sh', '-c', 'echo $$; readlink /proc/self/ns/uts');
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toBe(`1\n${readlinkSync('/proc/self/ns/uts')}\n`);
  });

  it('returns the program’s status, and 128+n for a signal', async () => {
    expect((await tiny('01-process', '/bin/sh', '-c', 'exit 7')).status).toBe(7);
    const aborted = await tiny('01-process', process.execPath, '-e', 'process.abort()');
    // abort(3) as pid 1: nobody delivers SIGABRT to it, so the C library goes on to an invalid instruction, and SIGSEGV is forced.
    expect(aborted.status).toBe(128 + 11);
  });

  it('shows that pid 1 cannot kill itself, as the lesson says', async () => {
    expect((await tiny('01-process', '/bin/sh', '-c', 'kill -9 $$; echo "still here"')).stdout).toBe('still here\n');
  });
});

describe('tiny, chapter 3', () => {
  it('gives a host name, a /proc, an empty network and the root of its cgroup', async () => {
    const look =
      'hostname; echo $$; ls /proc | grep -c "^[0-9]"; tail -n +3 /proc/net/dev | cut -d: -f1; tail -n 1 /proc/self/cgroup';
    const { status, stdout } = await tiny('03-namespaces', '--hostname', 'harbour', '--', '/bin/sh', '-c', look);
    expect(status).toBe(0);
    const [name, pid, processes, device, cgroup] = stdout.split('\n').map((line) => line.trim());
    expect({ name, pid, device, cgroup }).toEqual({ name: 'harbour', pid: '1', device: 'lo', cgroup: '0::/' });
    expect(Number(processes)).toBeLessThanOrEqual(4); // the shell and the pipeline
  });

  it('is in six namespaces of its own, and in a time namespace', async () => {
    const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'uts', 'user'];
    const { stdout } = await tiny(
      '03-namespaces',
      '--',
      '/bin/sh',
      '-c',
      `cd /proc/self/ns; readlink ${kinds.join(' ')}`,
    );
    const own = await world.run(['/bin/sh', '-c', `cd /proc/self/ns; readlink ${kinds.join(' ')}`]);
    const outside = own.stdout.trim().split('\n');
    const inside = stdout.trim().split('\n');
    expect(kinds.filter((_, index) => inside[index] === outside[index])).toEqual(['user']);
  });

  it('moves its clock, and nobody else’s', async () => {
    const { stdout } = await tiny('03-namespaces', '--uptime', '31536000', '--', '/bin/cat', '/proc/uptime');
    expect(Number(stdout.split(' ')[0])).toBeGreaterThan(31_536_000);
    expect(Number((await world.run(['cat', '/proc/uptime'])).stdout.split(' ')[0])).toBeLessThan(31_536_000);
  });
});

describe('tiny, chapter 5', () => {
  it('has three mounts and nothing of the machine', async (ctx) => {
    const reason = noRootfs();
    if (reason) return ctx.skip(reason);
    const { rootfs, remove } = temporaryRootfs();
    try {
      for (const name of ['proc', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true });
      const look = 'cat /proc/self/mountinfo; echo --; ls /; ls /tmp; echo $$';
      const ran = await tiny('05-pivot-root', '--rootfs', rootfs, '--', '/bin/sh', '-c', look);
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      const [mounts = '', rest = ''] = ran.stdout.split('--\n');
      expect(
        mounts
          .trim()
          .split('\n')
          .map((line) => line.split(' ')[4]),
      ).toEqual(['/', '/proc', '/tmp']);
      expect(mounts).toContain(` ${rootfs} / `);
      expect(mounts).not.toContain('shared:');
      expect(rest.trim().split('\n')).toEqual(['bin', 'etc', 'proc', 'root', 'tmp', 'usr', 'var', '1']);
    } finally {
      remove();
    }
  });
});
