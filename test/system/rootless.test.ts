/** A container of a user who is not root. */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../runtime/container/index.js';
import { probeFeatures } from '../../runtime/kernel/features.js';
import { publicCopy } from '../harness/public-copy.js';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld, type World } from '../harness/world.js';

const UID = 65534;
const copy = publicCopy();
afterAll(() => copy[Symbol.dispose]());

function asUser(world: World, args: string[], more: Record<string, string> = {}) {
  chmodSync(world.folder, 0o755);
  const state = join(world.folder, 'user-state');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  chownSync(state, UID, UID);
  const words = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', process.execPath, copy.tare, ...args];
  return world.run(words, { env: { TARE_STATE: state, HOME: '/nonexistent', ...more } });
}

describe('a user who is not root', () => {
  beforeEach((context) => {
    if (!probeFeatures().userNamespaces) context.skip('this machine lets nobody make a user namespace');
  });

  it('gets the default container, in a user namespace where they are root', () =>
    inWorld('rootless', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      await world.run(['chown', '-R', `${UID}:${UID}`, rootfs]);
      const script = `id -u; cat /proc/self/uid_map | tr -s ' '; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | tr '\\t' ' '
        echo x > /dev/null && head -c 2 /dev/zero | wc -c; ip -o addr show lo | grep -c 127.0.0.1
        (echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused; exit 6`;
      const ran = await asUser(world, ['run', '--rootfs', rootfs, '--', 'sh', '-c', script]);
      expect(ran.stderr).toBe('');
      expect(ran.stdout.split('\n').map((line) => line.trim())).toEqual([
        '0',
        '0 65534 1',
        'CapEff: 00000000a80425fb',
        'NoNewPrivs: 1',
        'Seccomp: 2',
        '2',
        '1',
        'refused',
        '',
      ]);
      expect(ran.status).toBe(6);
    }));

  it.each<[string, string[], RegExp, RegExp]>([
    ['keeps what the host has locked', ['rbind', 'ro'], /^ro,nosuid,nodev,relatime\n$/, /^$/],
    ['and what lies below', ['rbind', 'rnoexec'], /^rw,nosuid,nodev,noexec,relatime\n$/, /^$/],
    [
      'may not lift it',
      ['rbind', 'ro', 'dev'],
      /^$/,
      /mount_setattr.*EPERM.*a user namespace may not lift restrictions/,
    ],
    [
      'may not map owners',
      ['rbind', 'idmap'],
      /^$/,
      /^tare: the mount at \/vol is to be idmapped, which only root may do\n$/,
    ],
  ])('whose volume %s: %j', (_, options, stdout, stderr) =>
    inWorld('rootless-vol', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const source = join(world.folder, 'source');
      mkdirSync(source);
      await world.run(['chown', '-R', `${UID}:${UID}`, rootfs]);
      await world.run(['mount', '-t', 'tmpfs', '-o', 'nosuid,nodev', 'volume', source]);
      const script = "grep ' /vol ' /proc/self/mountinfo | cut -d' ' -f6";
      const config = defaultConfig({
        rootfs,
        args: ['sh', '-c', script],
        caller: { uid: UID, gid: UID },
        mounts: [{ destination: '/vol', source, options }],
      });
      writeFileSync(join(world.folder, 'config.json'), JSON.stringify(config));
      const ran = await asUser(world, ['run', '--bundle', world.folder]);
      await world.run(['umount', source]);
      expect(ran.stdout).toMatch(stdout);
      expect(ran.stderr).toMatch(stderr);
    }),
  );

  it('is told in one sentence which folder of states is not theirs', () =>
    inWorld('notmine', async (world) => {
      chmodSync(join(world.folder, 'state'), 0o700);
      const env = { TARE_STATE: join(world.folder, 'state') };
      for (const args of [['ps'], ['kill', 'x']]) {
        const ran = await asUser(world, args, env);
        expect(ran.stderr).toMatch(/^tare: the states of the containers cannot be read: EACCES[^\n]*\n$/);
        expect(ran.status).toBe(125);
      }
    }));

  it('is told in one sentence what needs root', () =>
    inWorld('needsroot', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const ran = await asUser(world, ['run', '--rootfs', rootfs, '--memory', '64m', '--', 'true']);
      expect(ran.stderr).toMatch(/^tare: linux\.resources\.memory\.limit cannot be enforced here: [^\n]*\n$/);
      expect(ran.status).toBe(125);
    }));
});
