/** Mounts, the root and devices: every option of the specification's table, propagation, masking. config.md, Mounts; config-linux.md. */
import { deepEqual, equal, match, ok as truthy } from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ok, refused } from '../container.js';
import { type Scene, suite } from '../suite.js';

/** Options of the specification's table, and what mountinfo then has for a tmpfs. */
const OPTIONS: [options: string[], has: RegExp][] = [
  [['ro'], /^ro,/],
  [['rw'], /^rw,/],
  [['ro', 'rw'], /^rw,/],
  [['nosuid'], /nosuid/],
  [['nosuid', 'suid'], /^(?!.*nosuid)/],
  [['nodev'], /nodev/],
  [['nodev', 'dev'], /^(?!.*nodev)/],
  [['noexec'], /noexec/],
  [['noexec', 'exec'], /^(?!.*noexec)/],
  [['noatime'], /noatime/],
  [['noatime', 'atime'], /^(?!.*noatime)/],
  [['nodiratime'], /nodiratime/],
  [['relatime'], /relatime/],
  [['strictatime'], /^(?!.*(relatime|noatime))/],
  [['nosymfollow'], /nosymfollow/],
  [['size=1m'], /size=1024k/],
  [['mode=1711'], /mode=1711/],
  [['sync'], /sync/],
  [['dirsync'], /dirsync/],
  [['defaults'], /^rw,relatime/],
];

const BIND_OPTIONS: [options: string[], has: RegExp][] = [
  [['bind', 'ro'], /^ro,/],
  [['rbind', 'ro'], /^ro,/],
  [['bind', 'nosuid', 'nodev', 'noexec'], /nosuid,nodev,noexec/],
  [['bind', 'noatime'], /noatime/],
  [['bind'], /^rw,/],
];

const RECURSIVE: [string, RegExp][] = [
  ['rro', /^ro,/],
  ['rnosuid', /nosuid/],
  ['rnodev', /nodev/],
  ['rnoexec', /noexec/],
  ['rnoatime', /noatime/],
  ['rnodiratime', /nodiratime/],
  ['rnosymfollow', /nosymfollow/],
  ['rstrictatime', /^(?!.*(relatime|noatime))/],
];

export const mounts = suite('mounts', (it) => {
  for (const [options, has] of OPTIONS) {
    it(`a tmpfs with ${options.join(',')}`, 'config.md, Linux mount options', async ({ sh }) => {
      const said = await sh(mountinfo('/m'), (config) => {
        config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', options });
      });
      match(said.trim(), has);
    });
  }

  for (const [options, has] of BIND_OPTIONS) {
    it(`a bind mount with ${options.join(',')}`, 'config.md, Linux mount options', async ({ sh, folder }) => {
      const source = folder();
      writeFileSync(join(source, 'file'), 'of the host\n');
      const said = await sh(`cat /m/file; ${mountinfo('/m')}`, (config) => {
        config.mounts.push({ destination: '/m', type: 'none', source, options });
      });
      const [first, second] = said.split('\n') as [string, string];
      equal(first, 'of the host');
      match(second, has);
    });
  }

  for (const [option, has] of RECURSIVE) {
    it(`${option} holds for the mounts below too`, 'config.md, Linux mount options: recursive', async (scene) => {
      const source = await nested(scene);
      const said = await scene.sh(`${mountinfo('/m')}; ${mountinfo('/m/below')}`, (config) => {
        config.mounts.push({ destination: '/m', type: 'bind', source, options: ['rbind', option] });
      });
      const [top, below] = said.trim().split('\n') as [string, string];
      match(top, has);
      match(below, has);
    });
  }

  it('bind takes one mount, rbind those below too', 'config.md, Linux mount options', async (scene) => {
    const source = await nested(scene);
    for (const [option, seen] of [
      ['bind', ''],
      ['rbind', 'below\n'],
    ] as const) {
      const said = await scene.sh('cat /m/below/file 2>/dev/null || true', (config) => {
        config.mounts.push({ destination: '/m', type: 'bind', source, options: [option] });
      });
      equal(said, seen, option);
    }
  });

  it('a file is bound onto a file that is made for it', 'runc: the mount point is made', async ({ sh, folder }) => {
    const source = join(folder(), 'file');
    writeFileSync(source, 'bound\n');
    const said = await sh('cat /made/for/file', (config) => {
      config.mounts.push({ destination: '/made/for/file', type: 'bind', source, options: ['bind'] });
    });
    equal(said, 'bound\n');
  });

  it('a source may be relative to the bundle', 'config.md, mounts.source', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['cat', '/m/file'];
      config.mounts.push({ destination: '/m', type: 'bind', source: 'data', options: ['bind'] });
    });
    mkdirSync(join(it.bundle, 'data'));
    writeFileSync(join(it.bundle, 'data/file'), 'beside config.json\n');
    equal(ok(await it.run()), 'beside config.json\n');
  });

  it('a source that is not there is refused', 'config.md, mounts.source', async ({ container }) => {
    const it = container((config) => {
      config.mounts.push({ destination: '/m', type: 'bind', source: '/no/such/source', options: ['bind'] });
    });
    refused(await it.create(), /no such file/i);
  });

  it('mounts are made in the order of the list', 'config.md, mounts: in the listed order', async ({ sh, folder }) => {
    const [first, second] = [folder(), folder()];
    writeFileSync(join(first, 'name'), 'first');
    writeFileSync(join(second, 'name'), 'second');
    const said = await sh('cat /m/name; ls /m/sub', (config) => {
      config.mounts.push(
        { destination: '/m', type: 'bind', source: first, options: ['bind'] },
        { destination: '/m', type: 'bind', source: second, options: ['bind'] },
        { destination: '/m/sub', type: 'tmpfs', source: 'tmpfs' },
      );
    });
    equal(said, 'second');
  });

  it('an unknown file system is refused', 'mount(2): ENODEV', async ({ container }) => {
    const it = container((config) => {
      config.mounts.push({ destination: '/m', type: 'nonsensefs', source: 'x' });
    });
    refused(await it.create(), /nonsensefs|no such device/i);
  });

  it(
    'tmpcopyup fills the tmpfs with what it hides',
    'config.md, Linux mount options: tmpcopyup',
    async ({ container }) => {
      const it = container((config) => {
        config.process.args = [
          'sh',
          '-c',
          'cat /data/file; readlink /data/link; stat -c %a /data/file; echo new > /data/new',
        ];
        config.mounts.push({ destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] });
      });
      mkdirSync(join(it.rootfs, 'data'));
      writeFileSync(join(it.rootfs, 'data/file'), 'copied up\n');
      chmodSync(join(it.rootfs, 'data/file'), 0o640);
      symlinkSync('file', join(it.rootfs, 'data/link'));
      equal(ok(await it.run()), 'copied up\nfile\n640\n');
      deepEqual(ok(await it.bench.run(['ls', join(it.rootfs, 'data')])), 'file\nlink\n');
    },
  );

  const propagations: [string, RegExp][] = [
    ['shared', /^shared:\d+$/],
    ['slave', /^master:\d+$/],
    ['private', /^$/],
    ['unbindable', /^unbindable$/],
    ['rshared', /^shared:\d+$/],
    ['rslave', /^master:\d+$/],
    ['rprivate', /^$/],
  ];
  for (const [option, has] of propagations) {
    it(
      `a bind mount with ${option} propagates so`,
      'config.md, Linux mount options; mount_namespaces(7)',
      async (scene) => {
        const { bench, folder, later } = scene;
        const source = folder();
        ok(await bench.run(['mount', '--bind', source, source]));
        later(async () => ok(await bench.run(['umount', source])));
        ok(await bench.run(['mount', '--make-shared', source]));
        const said = await scene.sh(propagation('/m'), (config) => {
          // Nothing is shared with the host below a root that is not: mount_namespaces(7).
          config.linux.rootfsPropagation = /shared/.test(option) ? 'rshared' : 'rslave';
          config.mounts.push({ destination: '/m', type: 'bind', source, options: ['bind', option] });
        });
        match(said.trim(), has);
      },
    );
  }

  for (const [value, has] of [
    ['private', /^$/],
    ['slave', /^master:\d+$/],
    ['shared', /^shared:\d+/],
    ['unbindable', /^unbindable$/],
  ] as const) {
    it(`rootfsPropagation ${value}`, 'config-linux.md, Rootfs Mount Propagation', async (scene) => {
      const { bench, later } = scene;
      const it = scene.container((config) => {
        config.process.args = ['sh', '-c', propagation('/')];
        config.linux.rootfsPropagation = value;
      });
      ok(await bench.run(['mount', '--bind', it.rootfs, it.rootfs]));
      later(async () => ok(await bench.run(['umount', '-l', it.rootfs])));
      ok(await bench.run(['mount', '--make-shared', it.rootfs]));
      match(ok(await it.run()).trim(), has);
    });
  }

  it('an unknown rootfsPropagation is refused', 'config-linux.md, Rootfs Mount Propagation', async ({ container }) => {
    const it = container((config) => {
      config.linux.rootfsPropagation = 'nonsense';
    });
    refused(await it.create(), /propagation/i);
  });

  it('root.readonly makes the root read-only, and not the mounts', 'config.md, root.readonly', async ({ sh }) => {
    const said = await sh('echo x > /x || echo refused; echo x > /dev/shm/x && echo written', (config) => {
      config.root.readonly = true;
    });
    equal(said, 'refused\nwritten\n');
  });

  it(
    'masked paths show nothing, and missing ones are passed over',
    'config-linux.md, Masked Paths',
    async ({ container }) => {
      const it = container((config) => {
        config.process.args = ['sh', '-c', 'cat /etc/passwd | wc -c; ls /tmp | wc -l; echo x > /tmp/y || echo refused'];
        config.linux.maskedPaths = ['/etc/passwd', '/tmp', '/no/such/path'];
      });
      writeFileSync(join(it.rootfs, 'tmp/hidden'), '');
      equal(ok(await it.run()), '0\n0\nrefused\n');
    },
  );

  it(
    'read-only paths can be read only, with what is below, and missing ones are passed over',
    'config-linux.md, Readonly Paths',
    async ({ container }) => {
      const it = container((config) => {
        config.process.args = [
          'sh',
          '-c',
          'cat /tmp/x; echo y > /tmp/x || echo refused; echo y > /etc/y && echo written',
        ];
        config.linux.readonlyPaths = ['/tmp', '/no/such/path'];
      });
      writeFileSync(join(it.rootfs, 'tmp/x'), 'x\n');
      equal(ok(await it.run()), 'x\nrefused\nwritten\n');
    },
  );

  it('the default devices are there', 'config-linux.md, Default Devices', async ({ sh }) => {
    const said = await sh(
      'cd /dev; for d in null zero full random urandom tty; do stat -c "%n %F %t:%T %a" $d; done; for l in ptmx fd stdin stdout stderr; do readlink $l; done',
    );
    deepEqual(said.trim().split('\n'), [
      ...['null 1:3', 'zero 1:5', 'full 1:7', 'random 1:8', 'urandom 1:9', 'tty 5:0'].map(
        (d) => `${d.split(' ')[0]} character special file ${d.split(' ')[1]} 666`,
      ),
      'pts/ptmx',
      '/proc/self/fd',
      '/proc/self/fd/0',
      '/proc/self/fd/1',
      '/proc/self/fd/2',
    ]);
  });

  it('there is a /dev/core just where there is a /proc/kcore', 'runc: CONFIG_PROC_KCORE', async ({ sh }) => {
    const said = await sh(
      'test -L /dev/core && echo core; test -e /proc/kcore && echo kcore; test -e /dev/core && echo leads; true',
    );
    truthy(['', 'core\nkcore\nleads\n'].includes(said), said);
  });

  it('further devices are made as they are described', 'config-linux.md, Devices', async ({ sh }) => {
    const said = await sh('stat -c "%n %F %t:%T %a %u %g" /dev/mine /dev/block /dev/deep/er /fifo', (config) => {
      config.linux.devices = [
        { path: '/dev/mine', type: 'c', major: 1, minor: 3, fileMode: 0o640, uid: 11, gid: 22 },
        { path: '/dev/block', type: 'b', major: 7, minor: 200, fileMode: 0o600, uid: 0, gid: 0 },
        { path: '/dev/deep/er', type: 'u', major: 1, minor: 5, fileMode: 0o666 },
        { path: '/fifo', type: 'p', fileMode: 0o644 },
      ];
    });
    equal(
      said,
      '/dev/mine character special file 1:3 640 11 22\n/dev/block block special file 7:c8 600 0 0\n/dev/deep/er character special file 1:5 666 0 0\n/fifo fifo 0:0 644 0 0\n',
    );
  });

  it('a device of an unknown type is refused', 'config-linux.md, Devices', async ({ container }) => {
    const it = container((config) => {
      config.linux.devices = [{ path: '/dev/x', type: 'x', major: 1, minor: 3 }];
    });
    refused(await it.create());
  });

  it('an idmapped bind mount shows other owners', 'config.md, mounts.uidMappings', async ({ sh, folder, bench }) => {
    const source = folder();
    writeFileSync(join(source, 'file'), '');
    ok(await bench.run(['chown', '1000:2000', join(source, 'file')]));
    const said = await sh('stat -c "%u %g" /m/file; touch /m/new; stat -c "%u %g" /m/new', (config) => {
      config.mounts.push({
        destination: '/m',
        type: 'bind',
        source,
        options: ['bind', 'idmap'],
        uidMappings: [
          { containerID: 1000, hostID: 5000, size: 1 },
          { containerID: 0, hostID: 0, size: 1 },
        ],
        gidMappings: [
          { containerID: 2000, hostID: 6000, size: 1 },
          { containerID: 0, hostID: 0, size: 1 },
        ],
      });
    });
    equal(said, '5000 6000\n0 0\n');
  });

  it(
    'an idmap of a container with a user namespace',
    'config.md, mounts: idmap',
    async ({ container, folder, bench }) => {
      const source = folder();
      writeFileSync(join(source, 'file'), '');
      ok(await bench.run(['chown', '7:8', join(source, 'file')]));
      const it = container((config) => {
        config.linux.namespaces.push({ type: 'user' });
        config.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 65536 }];
        config.linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65536 }];
        config.process.args = ['stat', '-c', '%u %g', '/m/file'];
        config.mounts.push({
          destination: '/m',
          type: 'bind',
          source,
          options: ['bind', 'idmap'],
          uidMappings: [{ containerID: 0, hostID: 100_000, size: 65536 }],
          gidMappings: [{ containerID: 0, hostID: 100_000, size: 65536 }],
        });
      });
      ok(await bench.run(['chown', '-R', '100000:100000', it.rootfs]));
      equal(ok(await it.run()), '7 8\n');
    },
  );

  it('mounts of the container stay in it', 'mount_namespaces(7)', async ({ container, bench }) => {
    const before = bench.world.contents().mounts;
    const it = await container((config) => {
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs' });
    }).up();
    deepEqual(bench.world.contents().mounts, before);
    truthy(bench.proc(await it.pid(), 'mountinfo').includes(' /m '));
    truthy(!readFileSync('/proc/self/mountinfo', 'utf8').includes(it.bundle));
  });

  it('nothing of the host’s mounts is left in the container', 'pivot_root(2)', async ({ sh }) => {
    const said = await sh('cut -d " " -f 5 /proc/self/mountinfo | sort');
    const beside = said
      .trim()
      .split('\n')
      .filter((path) => !/^\/(proc|dev|sys)(\/|$)/.test(path));
    deepEqual(beside, ['/']);
  });

  it('a cgroup mount shows the container its own cgroup', 'config.md; cgroup_namespaces(7)', async ({ container }) => {
    const it = container((config) => {
      config.process.args = [
        'sh',
        '-c',
        'cat /proc/self/cgroup; ls /sys/fs/cgroup; touch /sys/fs/cgroup/x 2>&1 || true',
      ];
      config.mounts.push({
        destination: '/sys/fs/cgroup',
        type: 'cgroup',
        source: 'cgroup',
        options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
      });
    });
    const said = ok(await it.run());
    for (const line of said.split('\n').filter((text) => /^\d+:/.test(text))) match(line, /:\/$/);
    match(said, /touch: .*(Read-only file system|Permission denied)/);
  });
});

/** Prints the mount's own options and its file system's: fields 6 and the last of /proc/self/mountinfo. The last mount at the place counts. */
function mountinfo(path: string): string {
  return `busybox awk '$5 == "${path}" { line = $6 "," $NF } END { print line }' /proc/self/mountinfo`;
}

/** Prints its optional fields, which end with a dash: shared:N, master:N, unbindable. */
function propagation(path: string): string {
  const collect = 'line = ""; for (i = 7; $i != "-"; i++) line = line " " $i';
  return `busybox awk '$5 == "${path}" { ${collect} } END { print line }' /proc/self/mountinfo`;
}

/** A folder on which a tmpfs lies at `below`, with a file in it. */
async function nested({ bench, folder, later }: Scene): Promise<string> {
  const source = folder();
  mkdirSync(join(source, 'below'));
  ok(await bench.run(['mount', '-t', 'tmpfs', 'tmpfs', join(source, 'below')]));
  later(async () => ok(await bench.run(['umount', join(source, 'below')])));
  ok(await bench.run(['sh', '-c', `echo below > ${source}/below/file`]));
  return source;
}
