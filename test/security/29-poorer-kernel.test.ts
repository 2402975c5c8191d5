/** Attack 29: newer system calls answer ENOSYS. Then each attack on paths fails as well, or there is no container and one sentence. */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { PlanBuilder, runPlan } from '../../runtime/plan/index.js';
import { makeBundle, userNamespace } from '../harness/bundle.js';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld, type Ran, type World } from '../harness/world.js';
import { attempt, SYSTEM_CALLS, withoutCalls } from './naive.js';
import {
  atEachMoment,
  CLIMBING,
  consoleIsLink,
  coverTerminal,
  exchangeDirectory,
  FAKE_PROC,
  isBelowVolume,
  isMasking,
  NULL_DEVICE,
  putInPlaceOfNull,
  SHARED_VOLUME,
  terminalExchanged,
  withstands,
} from './scenarios.js';

/** `tare` with these words in the world, it and all that it starts under a filter of our own, by a plan of two steps. */
async function tareWithout(world: World, calls: readonly string[], words: readonly string[]): Promise<Ran> {
  const builder = new PlanBuilder();
  const { program, flags } = withoutCalls(calls);
  builder.outside.seccomp({ flags, filter: program }, 'an older kernel');
  const argv = ['nsenter', '-t', String(world.pid), '-m', '-p', '-n', '--', process.execPath];
  builder.outside.exec(
    {
      candidates: ['/usr/bin/nsenter'],
      argv: [...argv, join(packageRoot(), 'dist/bin/tare'), ...words],
      env: Object.entries(world.env).map(([name, value]) => `${name}=${value}`),
    },
    'the whole runtime',
  );
  const names = ['stdout', 'stderr'].map((name) => join(world.folder, name)) as [string, string];
  const stdio: [number, number, number] = [
    openSync('/dev/null', 'r'),
    openSync(names[0], 'w'),
    openSync(names[1], 'w'),
  ];
  const status = await runPlan(builder.build(), { stdio }).exited;
  for (const fd of stdio) closeSync(fd);
  const [stdout, stderr] = names.map((name) => readFileSync(name, 'utf8')) as [string, string];
  for (const name of names) rmSync(name);
  return { status: status >> 8, stdout, stderr };
}

const REQUIRED = { openat2: '5.6', clone3: '5.3', openTree: '5.2', newMountApi: '5.2' } as const;

describe('without newer system calls', () => {
  it('mount_setattr: a container runs, with all that it has otherwise', () =>
    inWorld('enosys', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      mkdirSync(join(world.folder, 'volume'));
      const script =
        'touch /x 2>/dev/null || echo read-only; cat /proc/keys; touch /proc/sys/x 2>&1 | tail -c 10; ls /vol; touch /vol/x 2>&1 | tail -c 10';
      const words = [
        'run',
        '--read-only',
        '--rootfs',
        rootfs,
        '-v',
        `${join(world.folder, 'volume')}:/vol:ro`,
        '--',
        'sh',
        '-c',
        script,
      ];
      const with_ = await world.tare(words);
      const without = await tareWithout(world, SYSTEM_CALLS.mountSetattr, words);
      expect(with_).toMatchObject({ status: 0, stderr: '' });
      expect(with_.stdout).toContain('read-only\n');
      expect(without).toEqual(with_);
    }));

  it.each(Object.entries(REQUIRED))('%s: no container, and one sentence', (name, since) =>
    inWorld('enosys', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const calls = SYSTEM_CALLS[name as keyof typeof SYSTEM_CALLS];
      const { status, stdout, stderr } = await tareWithout(world, calls, ['run', '--rootfs', rootfs, '--', 'true']);
      expect({ status, stdout }).toEqual({ status: 125, stdout: '' });
      expect(stderr).toMatch(
        new RegExp(
          `^tare: this kernel \\([^)]+\\) has no ${name}, which Linux ${since.replace('.', '\\.')} brought\n$`,
        ),
      );
    }),
  );

  it('all at once: one line that names each', () =>
    inWorld('enosys', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const calls = Object.values(SYSTEM_CALLS).flat();
      const { status, stderr } = await tareWithout(world, calls, ['run', '--rootfs', rootfs, '--', 'true']);
      expect(status).toBe(125);
      expect(stderr.match(/has no (\w+)/g)).toEqual(Object.keys(REQUIRED).map((name) => `has no ${name}`));
      expect(stderr.trim()).not.toContain('\n');
    }));

  it('mount_setattr: a volume in a user namespace keeps what the host has locked', () =>
    inWorld('enosys', async (world) => {
      const source = join(world.folder, 'source');
      mkdirSync(source);
      await world.run(['mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,noatime', 'volume', source]);
      const script = "grep ' /vol ' /proc/self/mountinfo | cut -d' ' -f6";
      const { path } = makeBundle(world, script, {
        mounts: [{ destination: '/vol', source, options: ['rbind', 'rro'] }],
        linux: userNamespace(),
      });
      const ran = await tareWithout(world, SYSTEM_CALLS.mountSetattr, ['run', '--bundle', path]);
      await world.run(['umount', source]);
      expect(ran).toMatchObject({ stdout: 'ro,nosuid,nodev,noatime\n', stderr: '', status: 0 });
    }));

  it('mount_setattr: recursive options are refused where something lies below', () =>
    inWorld('enosys', async (world) => {
      const source = join(world.folder, 'source');
      mkdirSync(join(source, 'below'), { recursive: true });
      await world.run(['mount', '-t', 'tmpfs', 'volume', join(source, 'below')]);
      const { path } = makeBundle(world, 'true', {
        mounts: [{ destination: '/vol', source, options: ['rbind', 'rro'] }],
      });
      const ran = await tareWithout(world, SYSTEM_CALLS.mountSetattr, ['run', '--bundle', path]);
      await world.run(['umount', join(source, 'below')]);
      expect(ran.stderr).toBe(
        'tare: /vol: recursive options of a source with mounts below it need mount_setattr (Linux 5.12)\n',
      );
    }));

  it('mount_setattr: /dev and /proc that are links (attacks 4 and 8)', () =>
    inWorld('enosys', async (world) => {
      const host = join(world.folder, 'host');
      mkdirSync(host);
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      symlinkSync(host, join(rootfs, 'dev'));
      const words = ['run', '--rootfs', rootfs, '--', 'ls', '-d', '/dev/shm'];
      expect(await tareWithout(world, SYSTEM_CALLS.mountSetattr, words)).toMatchObject({
        status: 0,
        stdout: '/dev/shm\n',
      });
      expect(readdirSync(host)).toEqual([]);
      rmSync(join(rootfs, 'proc'), { recursive: true });
      symlinkSync('tmp', join(rootfs, 'proc'));
      const { status, stderr } = await tareWithout(world, SYSTEM_CALLS.mountSetattr, words);
      expect(status).toBe(125);
      expect(stderr).toMatch(/ELOOP.*\/proc must be mounted on ordinary directory/);
    }));
});

describe('attacks on paths without mount_setattr', () => {
  const missing = ['mountSetattr'] as const;

  it('5: /dev/null is exchanged', async () => {
    expect(await atEachMoment(NULL_DEVICE, isMasking, putInPlaceOfNull('link'), { missing })).toBeGreaterThan(6);
    expect(await atEachMoment(NULL_DEVICE, isMasking, putInPlaceOfNull('device'), { missing })).toBeGreaterThan(6);
  });

  it('6: the terminal is exchanged', async () => {
    const made = (step: { field: string; kind: string }) =>
      step.field === 'process.terminal' && step.kind !== 'openat2';
    const late = (step: { field: string; kind: string }) =>
      made(step) && ['open_tree', 'move_mount'].includes(step.kind);
    expect(await atEachMoment(terminalExchanged(), late, coverTerminal, { missing })).toBe(2);
    expect(await atEachMoment(terminalExchanged(), made, consoleIsLink, { missing })).toBeGreaterThan(5);
  });

  it('7: a fake /proc', () => withstands(FAKE_PROC, { missing }));

  it('9: a directory of a shared volume becomes a link', async () => {
    const exchange = exchangeDirectory(({ host }) => host);
    expect(await atEachMoment(SHARED_VOLUME, isBelowVolume, exchange, { missing })).toBeGreaterThan(8);
  });

  it.each(CLIMBING.map((scenario) => [scenario.name, scenario] as const))('11: %s', (_, scenario) =>
    withstands(scenario, { missing }),
  );

  it('the attempt itself has no such call', async () => {
    const { error } = await attempt({
      args: ['true'],
      missing,
      edit: (step) =>
        step.kind === 'setsid'
          ? [
              {
                ...step,
                kind: 'mount_setattr',
                inputs: { dir: 'cwd', path: '/', flags: 0, set: 1, clear: 0, propagation: 0, userns: 'none' },
              },
              step,
            ]
          : step,
    });
    expect(error?.message).toMatch(/mount_setattr.*ENOSYS/);
  });
});
