/** Namespaces: made, shared or joined by path, of every type; offsets of clocks; ids of user namespaces. config-linux.md, Namespaces. */
import { deepEqual, equal, match, notEqual } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { Running } from '../bench.js';
import { inUserNamespace, withoutNamespace } from '../config.js';
import { type Container, NOT_THERE, ok, refused } from '../container.js';
import { type Scene, suite } from '../suite.js';
import { until } from '../until.js';

/** The type of the configuration, its name in /proc/PID/ns, and the option of unshare(1). */
const TYPES = [
  ['network', 'net', '--net'],
  ['ipc', 'ipc', '--ipc'],
  ['uts', 'uts', '--uts'],
  ['mount', 'mnt', '--mount'],
  ['pid', 'pid', '--pid'],
  ['cgroup', 'cgroup', '--cgroup'],
] as const;

export const namespaces = suite('namespaces', (it) => {
  for (const [type, name] of TYPES) {
    it(`a ${type} namespace without a path is new`, 'config-linux.md, Namespaces', async ({ container, bench }) => {
      const it = await container().up();
      notEqual(bench.namespace(await it.pid(), name), bench.namespace(1, name));
    });
  }

  for (const [type, name] of TYPES.filter(([one]) => !['mount', 'uts'].includes(one))) {
    it(
      `a ${type} namespace that is not asked for is the runtime’s`,
      'config-linux.md, Namespaces: not specified: inherit',
      async ({ container, bench }) => {
        const it = await container((config) => withoutNamespace(config, type)).up();
        equal(bench.namespace(await it.pid(), name), bench.namespace(1, name));
      },
    );
  }

  for (const [type, name, option] of TYPES) {
    it(`a ${type} namespace is joined by its path`, 'config-linux.md, Namespaces: path', async (scene) => {
      const { bench } = scene;
      const holder = await hold(
        scene,
        type === 'pid'
          ? ['--pid', '--fork', '--kill-child']
          : [option, ...(type === 'mount' ? ['--propagation', 'private'] : [])],
      );
      const it: Container = scene.container((config) => {
        withoutNamespace(config, type);
        config.linux.namespaces.push({
          type,
          path: `/proc/${holder}/ns/${type === 'pid' ? 'pid_for_children' : name}`,
        });
      });
      ok(await it.create());
      equal(bench.namespace(await it.pid(), name), bench.namespace(holder, type === 'pid' ? 'pid_for_children' : name));
      ok(await it.start());
      equal(await it.status(), 'running');
    });
  }

  it(
    'a path of a namespace of another type is refused',
    'config-linux.md, Namespaces: MUST generate an error',
    async ({ container }) => {
      const it = container((config) => {
        withoutNamespace(config, 'network');
        config.linux.namespaces.push({ type: 'network', path: '/proc/self/ns/ipc' });
      });
      refused(await it.create());
      refused(await it.oci(['state', it.id]), NOT_THERE);
    },
  );

  it(
    'a path that is no namespace is refused',
    'config-linux.md, Namespaces: MUST generate an error',
    async ({ container }) => {
      for (const path of ['/etc/passwd', '/no/such/file']) {
        const it = container((config) => {
          withoutNamespace(config, 'network');
          config.linux.namespaces.push({ type: 'network', path });
        });
        refused(await it.create());
      }
    },
  );

  it('a type twice is refused', 'config-linux.md, Namespaces: MUST generate an error', async ({ container }) => {
    const it = container((config) => {
      config.linux.namespaces.push({ type: 'ipc' });
    });
    refused(await it.create(), /ipc|duplicat|twice/i);
  });

  it('an unknown type is refused', 'config-linux.md, Namespaces', async ({ container }) => {
    const it = container((config) => {
      config.linux.namespaces.push({ type: 'nonsense' });
    });
    refused(await it.create(), /nonsense/);
  });

  it(
    'the container of another container’s namespaces talks with it',
    'config-linux.md, Namespaces: path; as pods do',
    async ({ container, bench }) => {
      const first = await container().up();
      const pid = await first.pid();
      const second = await container((config) => {
        for (const [type, name] of [
          ['network', 'net'],
          ['ipc', 'ipc'],
          ['uts', 'uts'],
          ['pid', 'pid'],
        ] as const) {
          withoutNamespace(config, type);
          config.linux.namespaces.push({ type, path: `/proc/${pid}/ns/${name}` });
        }
        config.hostname = undefined;
      }).up();
      for (const name of ['net', 'ipc', 'uts', 'pid'])
        equal(bench.namespace(await second.pid(), name), bench.namespace(pid, name));
      equal(await second.execSh('hostname'), 'conformance\n');
      // Its processes are those of the first one's pid namespace.
      match(await second.execSh('cat /proc/1/comm'), /sleep/);
      await second.end();
      equal(await first.status(), 'running');
    },
  );

  it(
    'a new user namespace has the mappings',
    'config-linux.md, User namespace mappings',
    async ({ container, bench }) => {
      const it = container((config) => {
        config.linux.namespaces.push({ type: 'user' });
        config.linux.uidMappings = [
          { containerID: 0, hostID: 100_000, size: 10 },
          { containerID: 10, hostID: 300_000, size: 5 },
        ];
        config.linux.gidMappings = [{ containerID: 0, hostID: 200_000, size: 20 }];
        config.process.args = [
          'sh',
          '-c',
          'tr -s " " < /proc/self/uid_map; tr -s " " < /proc/self/gid_map; id -u; id -g',
        ];
      });
      ok(await bench.run(['chown', '-R', '100000:200000', it.rootfs]));
      equal(ok(await it.run()), ' 0 100000 10\n 10 300000 5\n 0 200000 20\n0\n0\n');
    },
  );

  it('root of a user namespace is nobody outside', 'user_namespaces(7)', async ({ container, bench }) => {
    const it = container((config) => inUserNamespace(config));
    ok(await bench.run(['chown', '-R', '100000:100000', it.rootfs]));
    await it.up();
    match(bench.proc(await it.pid(), 'status'), /^Uid:\t100000\t100000\t100000\t100000$/m);
    equal(await it.execSh('echo x > /made; stat -c %u /made'), '0\n');
    match(ok(await bench.run(['stat', '-c', '%u', `${it.rootfs}/made`])), /^100000$/m);
  });

  it('a user namespace without mappings is refused', 'runc: mappings are needed', async ({ container }) => {
    const it = container((config) => {
      config.linux.namespaces.push({ type: 'user' });
    });
    refused(await it.create(), /map/i);
  });

  it('a user that is not mapped is refused', 'user_namespaces(7)', async ({ container, bench }) => {
    const it = container((config) => {
      inUserNamespace(config);
      config.process.user = { uid: 70_000, gid: 0 };
    });
    ok(await bench.run(['chown', '-R', '100000:100000', it.rootfs]));
    refused(await it.create());
  });

  it('a user namespace is joined by its path', 'config-linux.md, Namespaces: path', async (scene) => {
    const { bench } = scene;
    const holder = scene.container((config) => inUserNamespace(config));
    ok(await bench.run(['chown', '-R', '100000:100000', holder.rootfs]));
    await holder.up();
    const pid = await holder.pid();
    const it = scene.container((config) => {
      config.linux.namespaces.push({ type: 'user', path: `/proc/${pid}/ns/user` });
      config.process.args = ['sh', '-c', 'tr -s " " < /proc/self/uid_map; readlink /proc/self/ns/user; id -u'];
    });
    ok(await bench.run(['chown', '-R', '100000:100000', it.rootfs]));
    equal(ok(await it.run()), ` 0 100000 65536\n${bench.namespace(pid, 'user')}\n0\n`);
  });

  it(
    'every namespace of a container in a user namespace belongs to it',
    'ioctl_ns(2) NS_GET_USERNS',
    async ({ container, bench }) => {
      const it = container((config) => {
        inUserNamespace(config);
        config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
        config.process.args = ['sh', '-c', 'hostname changed && hostname; cat /proc/sys/net/ipv4/ip_forward'];
        config.process.capabilities = {
          bounding: ['CAP_SYS_ADMIN'],
          permitted: ['CAP_SYS_ADMIN'],
          effective: ['CAP_SYS_ADMIN'],
        };
      });
      ok(await bench.run(['chown', '-R', '100000:100000', it.rootfs]));
      equal(ok(await it.run()), 'changed\n1\n');
    },
  );

  it('a time namespace has the offsets', 'config-linux.md, Offset for Time Namespace', async ({ sh }) => {
    const said = await sh('cut -d . -f 1 /proc/uptime; tr -s " " < /proc/self/timens_offsets', (config) => {
      config.linux.namespaces.push({ type: 'time' });
      config.linux.timeOffsets = { monotonic: { secs: 5000, nanosecs: 7 }, boottime: { secs: 1_000_000, nanosecs: 0 } };
    });
    const [uptime, ...offsets] = said.trim().split('\n');
    equal(Number(uptime) > 1_000_000, true);
    deepEqual(offsets, ['monotonic 5000 7', 'boottime 1000000 0']);
  });

  it('a time namespace is joined by its path', 'config-linux.md, Namespaces: path', async ({ container, sh }) => {
    const first = container((config) => {
      config.linux.namespaces.push({ type: 'time' });
      config.linux.timeOffsets = { boottime: { secs: 2_000_000, nanosecs: 0 } };
    });
    await first.up();
    const path = `/proc/${await first.pid()}/ns/time`;
    const said = await sh('cut -d . -f 1 /proc/uptime', (config) => {
      config.linux.namespaces.push({ type: 'time', path });
    });
    equal(Number(said) > 2_000_000, true);
  });

  it(
    'time offsets without a time namespace are refused',
    'config-linux.md, Offset for Time Namespace',
    async ({ container }) => {
      const it = container((config) => {
        config.linux.timeOffsets = { boottime: { secs: 10, nanosecs: 0 } };
      });
      refused(await it.create(), /time/i);
    },
  );

  it('the loopback device of a new network namespace is up', 'runc: lo is set up', async ({ sh }) => {
    match(await sh('ip -o link show lo'), /[<,]UP[,>]/);
  });

  it(
    'a network device is moved into the container',
    'config-linux.md, Network Devices (1.3)',
    async ({ container, bench, later }) => {
      const name = `cf${bench.next()}`;
      ok(await bench.run(['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`]));
      later(() => bench.run(['ip', 'link', 'del', `${name}p`]));
      ok(await bench.run(['ip', 'addr', 'add', '10.99.3.1/24', 'dev', name]));
      const it = container((config) => {
        config.linux.netDevices = { [name]: { name: 'inside0' } };
        config.process.args = ['sh', '-c', 'ip -o link show inside0; ip -o addr show inside0'];
      });
      const said = ok(await it.run());
      match(said, /inside0.*[<,]UP[,>]/);
      match(said, /10\.99\.3\.1\/24/);
    },
  );

  it(
    'a network device that is not there is refused',
    'config-linux.md, Network Devices (1.3)',
    async ({ container }) => {
      const it = container((config) => {
        config.linux.netDevices = { nosuchdev0: {} };
      });
      refused(await it.create(), /nosuchdev0/);
    },
  );
});

/** A process that keeps new namespaces alive; its pid in the world. */
async function hold({ bench, folder, later }: Scene, options: readonly string[]): Promise<number> {
  const file = `${folder()}/pid`;
  // With --fork it is the parent that has the new pid namespace for its children.
  const script = options.includes('--fork')
    ? 'sleep 1000'
    : `echo $$ > ${file}.new; mv ${file}.new ${file}; exec sleep 1000`;
  const command = options.includes('--fork')
    ? ['sh', '-c', `echo $$ > ${file}; exec unshare ${options.join(' ')} ${script}`]
    : ['unshare', ...options, 'sh', '-c', script];
  const running: Running = bench.start(command);
  later(async () => {
    await bench.run(['kill', '-KILL', String(pid)]);
    running.kill('SIGKILL');
    await running.ended;
  });
  await until(() => existsSync(file));
  await until(() => readFileSync(file, 'utf8').trim() !== '');
  const pid = Number(readFileSync(file, 'utf8'));
  // Between unshare(2) and the first fork(2) there is no pid_for_children, as a pid namespace begins with its process 1.
  if (options.includes('--fork')) await until(() => bench.proc(pid, `task/${pid}/children`).trim() !== '');
  return pid;
}
