/** Mounts as config.json asks for them, seen from the container and from the host. config.md, "Linux mount options". */
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probeFeatures } from '../../runtime/kernel/features.js';
import type { Config } from '../../runtime/oci/index.js';
import { makeBundle, runScript, userNamespace } from '../harness/bundle.js';
import { inWorld, type World } from '../harness/world.js';

/** A tmpfs in the world with a tmpfs below it. The test is run, then both are unmounted. */
async function withTree(world: World, test: (source: string) => Promise<void>, propagation = 'private'): Promise<void> {
  const source = join(world.folder, 'source');
  mkdirSync(source);
  const made = await world.run([
    'sh',
    '-ec',
    `mount -t tmpfs top ${source}; mount --make-${propagation} ${source}; mkdir ${source}/sub; mount -t tmpfs below ${source}/sub
     touch ${source}/file ${source}/sub/file; chmod 755 ${source} ${source}/sub`,
  ]);
  expect(made).toMatchObject({ status: 0, stderr: '' });
  try {
    await test(source);
  } finally {
    await world.run(['umount', '-R', source]);
  }
}

const bind = (source: string, ...options: string[]): NonNullable<Config['mounts']>[number] => ({
  destination: '/vol',
  type: 'none',
  source,
  options: options.some((option) => option === 'rbind') ? options : ['rbind', ...options],
});

/** What mountinfo says of a mount point: its own options. */
const OPTIONS = 'for at in /vol /vol/sub; do grep " $at " /proc/self/mountinfo | cut -d" " -f6; done';

describe('options of a bind mount', () => {
  it.each<[string[], string, string]>([
    [[], 'rw,relatime', 'rw,relatime'],
    [['ro'], 'ro,relatime', 'rw,relatime'],
    [['rro'], 'ro,relatime', 'ro,relatime'],
    [['rro', 'rw'], 'ro,relatime', 'ro,relatime'],
    [['rro', 'rrw'], 'rw,relatime', 'rw,relatime'],
    [['rnosuid', 'rnodev', 'rnoexec'], 'rw,nosuid,nodev,noexec,relatime', 'rw,nosuid,nodev,noexec,relatime'],
    [['nosuid', 'suid', 'rnodev', 'rdev', 'noexec', 'exec'], 'rw,relatime', 'rw,relatime'],
    [['rnoatime', 'rnodiratime'], 'rw,noatime,nodiratime', 'rw,noatime,nodiratime'],
    [['rnoatime', 'ratime'], 'rw,relatime', 'rw,relatime'],
    [['rstrictatime'], 'rw', 'rw'],
    [['rstrictatime', 'rnostrictatime', 'rnodiratime', 'rdiratime'], 'rw,relatime', 'rw,relatime'],
    [['rnoatime', 'rrelatime'], 'rw,relatime', 'rw,relatime'],
    [['rnoatime', 'rnorelatime'], 'rw,relatime', 'rw,relatime'],
    [['rnosymfollow'], 'rw,relatime,nosymfollow', 'rw,relatime,nosymfollow'],
    [['rnosymfollow', 'rsymfollow', 'nosymfollow'], 'rw,relatime', 'rw,relatime'],
    [['nosymfollow'], 'rw,relatime,nosymfollow', 'rw,relatime'],
    [['noatime', 'silent', 'iversion', 'defaults', 'loud'], 'rw,noatime', 'rw,relatime'],
  ])('%j', (options, top, below) =>
    inWorld('mount-options', (world) =>
      withTree(world, async (source) => {
        const ran = await runScript(world, OPTIONS, { mounts: [bind(source, ...options)] });
        expect(ran).toMatchObject({ stdout: `${top}\n${below}\n`, stderr: '', status: 0 });
      }),
    ),
  );

  it('bind shows the mount alone, rbind those below as well', () =>
    inWorld('mount-bind', (world) =>
      withTree(world, async (source) => {
        const ran = await runScript(world, 'ls /one /all/sub; ls /one/sub | wc -l', {
          mounts: [
            { destination: '/one', source, options: ['bind'] },
            { destination: '/all', source, options: ['rbind'] },
          ],
        });
        expect(ran.stdout).toBe('/all/sub:\nfile\n\n/one:\nfile\nsub\n0\n');
      }),
    ));

  const source = (world: World) => join(world.folder, 'source');
  const remounted = (world: World, options: string) =>
    world.run(['mount', '-o', `remount,bind,${options}`, source(world)]);

  it.each<[string, string[], string, string]>([
    ['ro,nosuid,nodev,noexec,noatime', [], 'ro,nosuid,nodev,noexec,noatime', 'ro,nosuid,nodev,noexec,noatime'],
    // Who names one names all; in a user namespace what is on stays on.
    ['ro,nosuid,nodev,noatime', ['noexec'], 'rw,noexec,noatime', 'ro,nosuid,nodev,noexec,noatime'],
    ['nosuid,nodev', ['ro'], 'ro,relatime', 'ro,nosuid,nodev,relatime'],
    ['nosymfollow,nodev', ['ro', 'symfollow'], 'ro,relatime', 'ro,nodev,relatime'],
    ['noatime', ['atime'], 'rw,noatime', 'rw,noatime'],
    ['nodev', ['dev'], 'rw,relatime', 'refused'],
    ['ro', ['rw'], 'rw,relatime', 'refused'],
    ['noatime', ['relatime'], 'rw,relatime', 'rw,relatime'],
    ['noatime', ['nodiratime'], 'rw,nodiratime,relatime', 'rw,nodiratime,relatime'],
    ['nodiratime', ['strictatime'], 'rw', 'rw'],
  ])('of a source that is %s, with %j: %s; in a user namespace %s', (of, options, expected, mapped) =>
    inWorld('mount-locked', (world) =>
      withTree(world, async () => {
        expect((await remounted(world, of)).status).toBe(0);
        const mounts = [bind(source(world), ...options)];
        const script = 'grep " /vol " /proc/self/mountinfo | cut -d" " -f6';
        expect(await runScript(world, script, { mounts })).toMatchObject({ stdout: `${expected}\n`, stderr: '' });
        const inNamespace = await runScript(world, script, { mounts, linux: userNamespace() });
        if (mapped !== 'refused') expect(inNamespace).toMatchObject({ stdout: `${mapped}\n`, stderr: '' });
        else expect(inNamespace.stderr).toMatch(/to lift a restriction .* not permitted in a user namespace\n$/);
      }),
    ),
  );

  it('what is the file system’s is left out, with a warning', () =>
    inWorld('mount-sync', (world) =>
      withTree(world, async (source) => {
        const ran = await runScript(world, OPTIONS, { mounts: [bind(source, 'sync', 'ro')] });
        expect(ran.stdout).toBe('ro,relatime\nrw,relatime\n');
        expect(ran.stderr).toMatch(/the bind mount at \/vol has the option sync, which is the file system’s: left out/);
      }),
    ));
});

describe('a new file system', () => {
  it('has its options: of the mount, of every file system, of its own', () =>
    inWorld('mount-new', async (world) => {
      const ran = await runScript(world, "grep ' /t ' /proc/self/mountinfo | sed 's/.* \\/t //'", {
        mounts: [
          {
            destination: '/t',
            type: 'tmpfs',
            source: 'name',
            options: ['rnoexec', 'sync', 'lazytime', 'mand', 'size=64k', 'mode=0700', 'uid=5', 'nosymfollow'],
          },
        ],
      });
      expect(ran.stderr).toBe('');
      expect(ran.stdout).toMatch(
        /^rw,noexec,relatime,nosymfollow - tmpfs name rw,sync,(mand,)?lazytime,size=64k,mode=700,uid=5/,
      );
    }));

  it('of which the kernel does not know the option is refused with its name', () =>
    inWorld('mount-unknown', async (world) => {
      const ran = await runScript(world, 'true', {
        mounts: [{ destination: '/t', type: 'tmpfs', source: 't', options: ['flavour=sweet'] }],
      });
      expect(ran.stderr).toMatch(
        /^tare: fsconfig\(.*"flavour", "sweet".*EINVAL \(mounts\[7\]: option flavour=sweet\)\n$/,
      );
      expect(ran.status).toBe(125);
    }));

  it('a tmpfs has the permissions of the directory that it hides, unless told', () =>
    inWorld('mount-mode', async (world) => {
      const { path, rootfs } = makeBundle(world, 'stat -c "%a %n" /tmp /etc /root /new', {
        mounts: [
          { destination: '/tmp', type: 'tmpfs' },
          { destination: '/link', type: 'tmpfs' },
          { destination: '/root', type: 'tmpfs', options: ['mode=711'] },
          { destination: '/new', type: 'tmpfs' },
        ],
      });
      chmodSync(join(rootfs, 'tmp'), 0o1770);
      chmodSync(join(rootfs, 'etc'), 0o751);
      symlinkSync('/etc', join(rootfs, 'link'));
      const ran = await world.tare(['run', '--bundle', path]);
      expect(ran).toMatchObject({ stdout: '1770 /tmp\n751 /etc\n711 /root\n1777 /new\n', stderr: '' });
    }));

  it('is read-only when all is in it: a device, and what is mounted below', () =>
    inWorld('mount-late', async (world) => {
      const ran = await runScript(world, 'ls -d /t/below; test -c /dev/null; touch /t/x /dev/x; touch /t/below/x', {
        mounts: [
          { destination: '/t', type: 'tmpfs', options: ['ro', 'mode=755'] },
          { destination: '/t/below', type: 'tmpfs', options: [] },
        ],
        change: (config) => ({
          ...config,
          mounts: config.mounts?.map((mount) =>
            mount.destination === '/dev' ? { ...mount, options: [...(mount.options ?? []), 'ro'] } : mount,
          ),
        }),
      });
      expect(ran.stdout).toBe('/t/below\n');
      expect(ran.stderr.match(/Read-only file system/g)).toHaveLength(2);
    }));
});

describe('tmpcopyup', () => {
  it('begins with what it hides: names, owners, modes, links', () =>
    inWorld('copyup', async (world) => {
      const { path, rootfs } = makeBundle(
        world,
        'cd /data; find . | sort; stat -c "%a %u %g" . dir dir/file; cat dir/file; readlink link; touch new; grep -c " /data " /proc/self/mountinfo',
        {
          mounts: [{ destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup', 'nosuid'] }],
        },
      );
      const data = join(rootfs, 'data');
      mkdirSync(join(data, 'dir'), { recursive: true });
      writeFileSync(join(data, 'dir/file'), 'content\n');
      chownSync(join(data, 'dir/file'), 12, 34);
      chmodSync(join(data, 'dir/file'), 0o4751); // after chown, which takes that bit away
      chmodSync(data, 0o711);
      symlinkSync('/etc/passwd', join(data, 'link'));
      const ran = await world.tare(['run', '--bundle', path]);
      expect(ran.stdout).toBe('.\n./dir\n./dir/file\n./link\n711 0 0\n755 0 0\n4751 12 34\ncontent\n/etc/passwd\n1\n');
      expect(() => statSync(join(data, 'new'))).toThrow(/ENOENT/);
    }));

  it('is read-only afterwards, has the mode that is asked for, and fails where it is too small', () =>
    inWorld('copyup-ro', async (world) => {
      const mount = { destination: '/etc', type: 'tmpfs', options: ['ro', 'tmpcopyup', 'mode=700', 'gid=7'] };
      const ran = await runScript(world, 'cat /etc/passwd; stat -c "%a %g" /etc; touch /etc/x', { mounts: [mount] });
      expect(ran.stdout).toBe('root:x:0:0:root:/root:/bin/sh\n700 7\n');
      expect(ran.stderr).toMatch(/Read-only file system/);
      const { path, rootfs } = makeBundle(world, 'true', { mounts: [{ ...mount, options: ['tmpcopyup', 'size=4k'] }] });
      writeFileSync(join(rootfs, 'etc/large'), Buffer.alloc(100_000));
      const full = await world.tare(['run', '--bundle', path]);
      expect(full.stderr).toMatch(/^tare: copy_tree\(.*ENOSPC/);
    }));
});

describe('remount', () => {
  it('changes the mount that is there: alone with bind, and its file system without', () =>
    inWorld('remount', async (world) => {
      const mounts = [
        { destination: '/a', type: 'tmpfs', source: 'a', options: ['size=64k'] },
        { destination: '/a', type: 'tmpfs', source: 'a', options: ['remount', 'ro', 'size=128k'] },
        { destination: '/b', type: 'tmpfs', source: 'b', options: [] },
        { destination: '/b', source: 'none', options: ['bind', 'remount', 'ro', 'noexec'] },
      ];
      const ran = await runScript(world, "grep -E ' /[ab] ' /proc/self/mountinfo | sed 's/.* \\/\\([ab]\\) /\\1 /'", {
        mounts,
      });
      expect(ran.stdout).toMatch(/^a ro,relatime - tmpfs a ro,size=128k.*\nb ro,noexec,relatime - tmpfs b rw.*\n$/);
      const nothing = await runScript(world, 'true', {
        mounts: [{ destination: '/tmp', type: 'tmpfs', options: ['remount', 'ro'] }],
      });
      expect(nothing.stderr).toMatch(/EINVAL.*other options for what is mounted at \/tmp \(EINVAL: nothing is\)/);
    }));
});

describe('idmapped mounts', () => {
  const map = (hostID: number) => [{ containerID: 0, hostID, size: 1000 }];
  const owners = 'stat -c %u:%g /vol/file /vol/sub/file';

  it.each<[string, string[], string]>([
    ['idmap maps the mount alone', ['idmap'], '5000:6000\n0:0\n'],
    ['ridmap those below as well', ['ridmap'], '5000:6000\n5000:6000\n'],
    ['mappings without an option are idmap', [], '5000:6000\n0:0\n'],
  ])('%s', (_, options, expected) =>
    inWorld('idmap', (world) =>
      withTree(world, async (source) => {
        const mount = { ...bind(source, ...options), uidMappings: map(5000), gidMappings: map(6000) };
        const ran = await runScript(world, owners, { mounts: [mount] });
        expect(ran).toMatchObject({ stdout: expected, stderr: '', status: 0 });
      }),
    ),
  );

  it('take the mapping of the container’s user namespace; what is written is root’s', () =>
    inWorld('idmap-userns', (world) =>
      withTree(world, async (source) => {
        const ran = await runScript(world, `${owners}; echo x > /vol/new`, {
          mounts: [bind(source, 'ridmap', 'nosuid')],
          linux: userNamespace(),
        });
        expect(ran).toMatchObject({ stdout: '0:0\n0:0\n', stderr: '', status: 0 });
        const owner = await world.run(['stat', '-c', '%u', join(source, 'new')]);
        expect(owner.stdout).toBe('0\n');
      }),
    ));

  it('or that of the one that it joins', () =>
    inWorld('idmap-joined', (world) =>
      withTree(world, async (source) => {
        const script = `exec 3<&0; unshare --user cat <&3 & until [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/$$/ns/user)" ]; do sleep 0.02; done
          echo 0 70000 1000 > /proc/$!/uid_map; echo 0 70000 1000 > /proc/$!/gid_map; echo $!; wait`;
        const holder = world.start(['sh', '-c', script]);
        const pid = await new Promise((resolve) => holder.stdout?.once('data', (text) => resolve(String(text).trim())));
        const { namespaces } = userNamespace();
        const { path, rootfs } = makeBundle(world, 'stat -c %u:%g /vol/file', {
          mounts: [bind(source, 'idmap')],
          linux: {
            namespaces: namespaces.map((n) => (n.type === 'user' ? { ...n, path: `/proc/${pid}/ns/user` } : n)),
          },
        });
        await world.run(['chown', '-R', '70000:70000', rootfs]);
        const ran = await world.tare(['run', '--bundle', path]);
        holder.stdin?.end();
        expect(ran).toMatchObject({ stdout: '0:0\n', stderr: '', status: 0 });
      }),
    ));

  it('forty of them', () =>
    inWorld('idmap-many', (world) =>
      withTree(world, async (source) => {
        const mounts = Array.from({ length: 40 }, (_, i) => ({
          ...bind(source, 'idmap'),
          destination: `/many/${i}`,
          uidMappings: map(1000 + i),
          gidMappings: map(1000),
        }));
        const ran = await runScript(world, 'stat -c %u /many/*/file | sort -n | tail -1', { mounts });
        expect(ran).toMatchObject({ stdout: '1039\n', stderr: '' });
      }),
    ));

  it.each<[string, NonNullable<Config['mounts']>[number], RegExp]>([
    [
      'of a file system that cannot',
      { destination: '/x', source: '/proc', options: ['rbind', 'idmap'], uidMappings: map(1), gidMappings: map(1) },
      /mount_setattr.*EINVAL \(mounts\[7\]: the owners of its files are mapped \(EINVAL: its file system cannot do that/,
    ],
    [
      'that is no bind mount',
      { destination: '/x', type: 'tmpfs', options: ['idmap'], uidMappings: map(1), gidMappings: map(1) },
      /mounts\[7\] is to be idmapped, which only a bind mount can be/,
    ],
  ])('%s is refused', (_, mount, sentence) =>
    inWorld('idmap-refused', async (world) => {
      const ran = await runScript(world, 'true', { mounts: [mount] });
      expect(ran.stderr).toMatch(sentence);
      expect(ran.status).toBe(125);
    }),
  );
});

describe('in a user namespace', () => {
  it('a volume that only root of the host reaches is there, with what it may not lift', () =>
    inWorld('mount-hidden', async (world) => {
      const hidden = join(world.folder, 'hidden');
      mkdirSync(join(hidden, 'volume'), { recursive: true });
      writeFileSync(join(hidden, 'volume/file'), 'found\n');
      chmodSync(hidden, 0o700);
      const ran = await runScript(world, 'cat /vol/file; touch /vol/x', {
        mounts: [bind(join(hidden, 'volume'), 'rro')],
        linux: userNamespace(),
      });
      expect(ran.stdout).toBe('found\n');
      expect(ran.stderr).toMatch(/Read-only file system/);
    }));

  it('a mount made in a volume stays in the container', () =>
    inWorld('mount-quiet', (world) =>
      withTree(
        world,
        async (source) => {
          const ran = await runScript(world, 'mount -t tmpfs mine /vol/sub && grep -c mine /proc/self/mountinfo', {
            mounts: [bind(source, 'rshared')],
            linux: { ...userNamespace(), rootfsPropagation: 'rshared' },
          });
          expect(ran).toMatchObject({ stdout: '1\n', stderr: '' });
          expect(readFileSync(`/proc/${world.pid}/mountinfo`, 'utf8')).not.toContain('mine');
        },
        'rshared',
      ),
    ));

  it('without a network of its own it sees the host’s sysfs, read-only', () =>
    inWorld('mount-sysfs', async (world) => {
      const ran = await runScript(world, 'ls -d /sys/class/net; touch /sys/x; grep " /sys " /proc/self/mountinfo', {
        linux: userNamespace(100_000, ['mount', 'pid', 'ipc', 'uts', 'cgroup'] as never),
      });
      expect(ran.stdout).toMatch(/^\/sys\/class\/net\n.* \/ \/sys ro,nosuid,nodev,noexec,relatime - sysfs /);
      expect(ran.stderr).toMatch(/Read-only file system/);
      expect(ran.stderr).not.toMatch(/tare:/);
    }));
});

describe('a source in the root file system', () => {
  it.each<[string, Partial<ReturnType<typeof userNamespace>>, string[]]>([
    ['shows the mounts that come before', {}, []],
    ['also in a user namespace', userNamespace(), []],
    ['also when it is idmapped', {}, ['idmap']],
    ['also when it is idmapped in a user namespace', userNamespace(), ['idmap']],
  ])('%s', (_, linux, options) =>
    inWorld('mount-order', async (world) => {
      const volume = join(world.folder, 'volume');
      mkdirSync(join(volume, 'inner'), { recursive: true });
      writeFileSync(join(volume, 'inner/file'), 'found\n');
      const rootfs = join(world.folder, 'bundle/rootfs');
      const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      const mapped = options.length > 0 ? { uidMappings: mapping, gidMappings: mapping } : {};
      const ran = await runScript(world, 'cat /last/file; stat -c %u /last/file', {
        mounts: [
          { destination: '/first', source: volume, options: ['bind'] },
          { destination: '/last', source: join(rootfs, 'first/inner'), options: ['rbind', ...options], ...mapped },
        ],
        linux,
      });
      const owner = linux.namespaces ? (options.length > 0 ? 0 : 65_534) : options.length > 0 ? 100_000 : 0;
      expect(ran).toMatchObject({ stdout: `found\n${owner}\n`, stderr: '' });
    }),
  );
});

describe('mount points', () => {
  it('of a file may be a link, of which the target is made within the root', () =>
    inWorld('mount-link', async (world) => {
      const file = join(world.folder, 'file');
      writeFileSync(file, 'mine\n');
      const { path, rootfs } = makeBundle(world, 'cat /etc/resolv.conf /run/deep/resolv', {
        mounts: [{ destination: '/etc/resolv.conf', source: file, options: ['bind', 'ro'] }],
      });
      symlinkSync('../run/deep/resolv', join(rootfs, 'etc/resolv.conf'));
      const ran = await world.tare(['run', '--bundle', path]);
      expect(ran).toMatchObject({ stdout: 'mine\nmine\n', stderr: '' });
    }));

  it.each<[string, (world: World) => NonNullable<Config['mounts']>[number], RegExp]>([
    [
      'a source that is not there',
      ({ folder }) => ({ destination: '/x', source: join(folder, 'nothing'), options: ['bind'] }),
      /^tare: the source .*\/nothing of the mount at \/x cannot be read: ENOENT: no such file or directory[^\n]*\n$/,
    ],
    [
      'a directory on a file',
      ({ folder }) => ({ destination: '/etc/passwd', source: folder, options: ['bind'] }),
      /^tare: mkdir_in_root.*ENOTDIR \(mounts\[7\]: the mount point, a directory, as its source is one[^\n]*\n$/,
    ],
    [
      'a file on a directory',
      () => ({ destination: '/etc', source: '/etc/passwd', options: ['bind'] }),
      /^tare: .*(ENOTDIR|EINVAL|EISDIR) \(mounts\[7\]: attached to \/etc, which must be a file, as its source is no directory\)\n$/,
    ],
    [
      'no source',
      () => ({ destination: '/x', options: ['bind'] }),
      /^tare: config.json: the bind mount at \/x has no source\n$/,
    ],
    [
      'an option that is no bind mount’s',
      () => ({ destination: '/x', source: '/etc', options: ['bind', 'nonsense'] }),
      /^tare: config.json: the bind mount at \/x has the option "nonsense", which bind mounts do not have\n$/,
    ],
  ])('%s: says what is wrong', (_, mount, sentence) =>
    inWorld('mount-error', async (world) => {
      const ran = await runScript(world, 'true', { mounts: [mount(world)] });
      expect(ran.stderr).toMatch(sentence);
      expect(ran.status).toBe(125);
    }),
  );

  it('an SELinux label is refused where the kernel has none', (context) => {
    if (probeFeatures().seLinux) context.skip('this kernel has SELinux');
    return inWorld('mount-label', async (world) => {
      const ran = await runScript(world, 'true', { linux: { mountLabel: 'system_u:object_r:svirt_t:s0' } });
      expect(ran.stderr).toMatch(/^tare: config.json: linux.mountLabel is .*SELinux is not enabled in this kernel/);
    });
  });
});
