/** Devices of a container: those that every program expects, those of config.json, and those that the image brings. config-linux.md, "Devices". */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../runtime/oci/index.js';
import { type Changes, makeBundle, runScript, userNamespace } from '../harness/bundle.js';
import { inWorld } from '../harness/world.js';

const stat = (...names: string[]) => `stat -c '%F %a %u %g %t:%T' ${names.map((name) => `/dev/${name}`).join(' ')}`;

/** Without the mount of /dev: the image's own directory. */
const imagesDev: Changes['change'] = (config: Config) => ({
  ...config,
  mounts: config.mounts?.filter(({ destination }) => !destination.startsWith('/dev')),
});

describe('devices', () => {
  it('of each type, with modes and owners', () =>
    inWorld('devices', async (world) => {
      const ran = await runScript(world, stat('c', 'u', 'b', 'deep/p', 'ptmx', 'null'), {
        linux: {
          devices: [
            { type: 'c', path: '/dev/c', major: 1, minor: 5, fileMode: 0o640, uid: 3, gid: 4 },
            { type: 'u', path: '/dev/u', major: 1, minor: 7 },
            { type: 'b', path: '/dev/b', major: 7, minor: 300, fileMode: 0o60600 },
            { type: 'p', path: '/dev/deep/p', fileMode: 0o622, uid: 9 },
            { type: 'c', path: '/dev/ptmx', major: 5, minor: 2 },
            { type: 'c', path: '/dev/null', major: 1, minor: 3, fileMode: 0o600 },
          ],
        },
      });
      expect(ran).toMatchObject({
        stderr: '',
        stdout: `character special file 640 3 4 1:5
character special file 666 0 0 1:7
block special file 600 0 0 7:12c
fifo 622 9 0 0:0
symbolic link 777 0 0 0:0
character special file 600 0 0 1:3
`,
      });
    }));

  it('of config.json are what it says also where the image has others of that name', () =>
    inWorld('devices-image', async (world) => {
      const { path, rootfs } = makeBundle(world, stat('c', 'b', 'p', 'ptmx'), {
        change: imagesDev,
        linux: {
          devices: [
            { type: 'c', path: '/dev/c', major: 1, minor: 5, fileMode: 0o640 },
            { type: 'b', path: '/dev/b', major: 7, minor: 1, fileMode: 0o600 },
            { type: 'p', path: '/dev/p' },
          ],
        },
      });
      mkdirSync(join(rootfs, 'dev'));
      const mknod = (...words: string[]) =>
        execFileSync(
          'mknod',
          words.map((word, i) => (i === 0 ? join(rootfs, 'dev', word) : word)),
        );
      mknod('c', 'c', '1', '1');
      mknod('b', 'b', '8', '0');
      mknod('ptmx', 'c', '5', '2');
      writeFileSync(join(world.folder, 'outside'), '');
      symlinkSync(join(world.folder, 'outside'), join(rootfs, 'dev/p'));
      const ran = await world.tare(['run', '--bundle', path]);
      expect(ran).toMatchObject({
        stderr: '',
        stdout:
          'character special file 640 0 0 1:5\nblock special file 600 0 0 7:1\nfifo 666 0 0 0:0\nsymbolic link 777 0 0 0:0\n',
      });
    }));

  it('that every container has are verified where the image brings them', () =>
    inWorld('devices-wrong', async (world) => {
      const { path, rootfs } = makeBundle(world, 'true', { change: imagesDev });
      mkdirSync(join(rootfs, 'dev'));
      execFileSync('mknod', [join(rootfs, 'dev/zero'), 'c', '1', '1']);
      const ran = await world.tare(['run', '--bundle', path]);
      expect(ran.stderr).toMatch(/^tare: expect_device\(.*ENODEV \(then it must be the right one\)\n$/);
      rmSync(join(rootfs, 'dev/zero'));
      expect(await world.tare(['run', '--bundle', path])).toMatchObject({ status: 0, stderr: '' });
    }));

  it('are not made in a /dev that is somebody else’s', () =>
    inWorld('devices-bind', async (world) => {
      const dev = join(world.folder, 'dev');
      mkdirSync(dev);
      for (const [name, minor] of [
        ['null', '3'],
        ['zero', '5'],
      ] as const)
        execFileSync('mknod', [join(dev, name), 'c', '1', minor]);
      const { path } = makeBundle(world, 'ls /dev', {
        change: (config) => ({
          ...imagesDev(config),
          mounts: [
            ...(imagesDev(config).mounts ?? []),
            { destination: '/dev/', type: 'none', source: dev, options: ['rbind'] },
          ],
        }),
        linux: { devices: [{ type: 'c', path: '/dev/fuse', major: 10, minor: 229 }] },
      });
      expect(await world.tare(['run', '--bundle', path])).toMatchObject({ stdout: 'null\nzero\n', stderr: '' });
    }));

  it('in a user namespace are the host’s, and pipes its own', () =>
    inWorld('devices-userns', async (world) => {
      const linux = (minor: number) => ({
        ...userNamespace(),
        devices: [
          { type: 'c' as const, path: '/dev/zero', major: 1, minor },
          { type: 'p' as const, path: '/dev/p', uid: 5, fileMode: 0o600 },
        ],
      });
      const ran = await runScript(world, `${stat('zero', 'null', 'p')}; head -c 2 /dev/zero | wc -c`, {
        linux: linux(5),
      });
      expect(ran).toMatchObject({
        stderr: '',
        stdout:
          'character special file 666 65534 65534 1:5\ncharacter special file 666 65534 65534 1:3\nfifo 600 5 0 0:0\n2\n',
      });
      const wrong = await runScript(world, 'true', { linux: linux(7) });
      expect(wrong.stderr).toMatch(
        /expect_device.*ENODEV \(linux.devices\[0\]: it surely is the device of that number\)/,
      );
    }));
});

describe('--no-pivot', () => {
  it.each<[string, Changes['linux']]>([
    ['a container', {}],
    ['one with a user namespace', userNamespace()],
    ['one that shares mounts', { rootfsPropagation: 'rshared' }],
  ])('%s has its root, and the host keeps its mounts', (_, linux) =>
    inWorld('no-pivot', async (world) => {
      await world.run(['mount', '--make-rshared', '/']);
      const before = world.contents().mounts;
      const { path } = makeBundle(world, 'ls /; cat /proc/self/comm; ls /proc/1/root/etc; ls /../../..', { linux });
      const ran = await world.run(['tare-oci', 'run', '--no-pivot', '--bundle', path, 'moved']);
      expect(ran.stderr).toBe('');
      const root = 'bin\ndev\netc\nproc\nroot\nsys\ntmp\nusr\nvar\n';
      expect(ran.stdout).toBe(`${root}cat\npasswd\n${root}`);
      expect(world.contents().mounts).toEqual(before);
    }),
  );

  it.each<[string, Changes['linux']]>([
    ['', {}],
    [' of its own', userNamespace()],
  ])('no proc or sysfs of the host lets a user namespace%s mount one without masks', (_, linux) =>
    inWorld('no-pivot-proc', async (world) => {
      const other = join(world.folder, 'other');
      mkdirSync(other);
      for (const [type, place] of [
        ['proc', '/proc'],
        ['sysfs', '/sys'],
        ['proc', other],
      ] as const)
        expect((await world.run(['mount', '-t', type, 'stacked', place])).status).toBe(0);
      const before = world.contents().mounts;
      const script = 'unshare -Umrpf mount -t proc none /tmp; unshare -Umrnf mount -t sysfs none /tmp; echo end';
      const { path } = makeBundle(world, script, { linux });
      const ran = await world.run(['tare-oci', 'run', '--no-pivot', '--bundle', path, 'unmasked']);
      // The new sysfs hides the host's cgroups, of which the runtime warns.
      const said = ran.stderr.replace(/^tare-oci: warning:.*\n/gm, '');
      expect(said).toBe('mount: permission denied (are you root?)\n'.repeat(2));
      expect(ran.stdout).toBe('end\n');
      expect(world.contents().mounts).toEqual(before);
      expect((await world.run(['umount', other, '/sys', '/proc'])).status).toBe(0);
    }),
  );
});
