/** What a process is given: user, capabilities, limits, priorities, file system view. config.md, Process and POSIX process. */
import { deepEqual, equal, match, ok as truthy } from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../../runtime/kernel/constants/open.js';
import { closeAll, OwnedFd } from '../../../runtime/kernel/fd.js';
import type { TestConfig } from '../config.js';
import { ok, refused } from '../container.js';
import { suite } from '../suite.js';
import { until } from '../until.js';

const field = (name: string) => `grep ^${name}: /proc/self/status | cut -f 2`;

export const processes = suite('process', (it) => {
  it('args and env are given as they are', 'config.md, process.args, process.env', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'printf "%s|" "$0" "$@"; echo; env | grep ^X | sort', 'a b', '', '*', 'ü\t'];
      config.process.env.push('X=1=2', 'XEMPTY=', 'XS=a  b');
    });
    equal(ok(await it.run()), 'a b||*|ü\t|\nX=1=2\nXEMPTY=\nXS=a  b\n');
  });

  it('a link in PATH that leads to itself is no program', 'config.md, process.args: execvp', async ({ container }) => {
    const it = container((config) => {
      config.process.env = ['PATH=/loop:/bin'];
      config.process.args = ['echo', 'found'];
    });
    mkdirSync(join(it.rootfs, 'loop'));
    for (const name of ['echo', 'no-such']) symlinkSync(name, join(it.rootfs, 'loop', name));
    equal(ok(await it.run()), 'found\n');
    const other = container((config) => {
      config.process.env = ['PATH=/loop:/bin'];
      config.process.args = ['no-such'];
    });
    mkdirSync(join(other.rootfs, 'loop'));
    symlinkSync('no-such', join(other.rootfs, 'loop/no-such'));
    refused(await other.run(), /executable file not found in \$PATH/);
  });

  it(
    'the program is looked for in the PATH of the container',
    'config.md, process.args: execvp',
    async ({ container }) => {
      const it = container((config) => {
        config.process.env = ['PATH=/other:/bin'];
        config.process.args = ['echo', 'found'];
      });
      equal(ok(await it.run()), 'found\n');
    },
  );

  it('HOME comes from the passwd file of the container', 'runc: HOME is set where it is not', async ({ sh }) => {
    equal(await sh('echo $HOME'), '/root\n');
    equal(
      await sh('echo $HOME', (config) => {
        config.process.env.push('HOME=/mine');
      }),
      '/mine\n',
    );
  });

  it('user has uid, gid and additional gids', 'config.md, POSIX-platform User', async ({ sh }) => {
    const script = `${field('Uid')}; grep ^Uid: /proc/self/status; grep ^Gid: /proc/self/status; grep ^Groups: /proc/self/status`;
    const said = await sh(script, (config) => {
      config.process.user = { uid: 1001, gid: 1002, additionalGids: [7, 8, 40000] };
    });
    equal(
      said.replace(/ \n$/, '\n'),
      '1001\nUid:\t1001\t1001\t1001\t1001\nGid:\t1002\t1002\t1002\t1002\nGroups:\t7 8 40000\n',
    );
  });

  it('without additional gids there are none', 'config.md, POSIX-platform User', async ({ sh }) => {
    match(await sh('grep ^Groups: /proc/self/status'), /^Groups:\s*0?\s*$/);
  });

  it('umask is 022 unless it is given', 'config.md, user.umask', async ({ sh }) => {
    equal(await sh('umask'), '0022\n');
    equal(
      await sh('umask', (config) => {
        config.process.user.umask = 0o77;
      }),
      '0077\n',
    );
  });

  it('each of the five sets of capabilities is what it says', 'config.md, process.capabilities', async ({ sh }) => {
    const said = await sh('grep ^Cap /proc/self/status', (config) => {
      config.process.capabilities = {
        bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW', 'CAP_SYS_CHROOT'],
        permitted: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW'],
        effective: ['CAP_CHOWN', 'CAP_KILL'],
        inheritable: ['CAP_KILL'],
        ambient: ['CAP_KILL'],
      };
      config.process.user = { uid: 1000, gid: 1000 };
    });
    // For another user execve(2) leaves the ambient ones: capabilities(7).
    const sets = Object.fromEntries(
      said
        .trim()
        .split('\n')
        .map((line) => line.split(':\t')),
    );
    deepEqual(sets, {
      CapInh: '0000000000000020',
      CapPrm: '0000000000000020',
      CapEff: '0000000000000020',
      CapBnd: '0000000000042021',
      CapAmb: '0000000000000020',
    });
  });

  it('root has what is in the bounding set, and no more', 'capabilities(7)', async ({ sh }) => {
    const said = await sh('grep -E "^Cap(Prm|Eff|Bnd|Inh|Amb)" /proc/self/status', (config) => {
      config.process.capabilities = { bounding: ['CAP_CHOWN'], permitted: ['CAP_CHOWN'], effective: ['CAP_CHOWN'] };
    });
    deepEqual(
      said.match(/[0-9a-f]{16}/g),
      ['0', '1', '1', '1', '0'].map((digit) => digit.padStart(16, '0')),
    );
  });

  it('without capabilities there are none', 'config.md, process.capabilities', async ({ sh }) => {
    const said = await sh('grep ^CapEff /proc/self/status', (config) => {
      config.process.capabilities = {};
    });
    match(said, /\t0{16}\n/);
  });

  for (const on of [true, false]) {
    it(`noNewPrivileges ${on} is the bit of the process`, 'config.md, process.noNewPrivileges', async ({ sh }) => {
      const said = await sh(field('NoNewPrivs'), (config) => {
        config.process.noNewPrivileges = on;
      });
      equal(said, on ? '1\n' : '0\n');
    });
  }

  it('rlimits are set', 'config.md, process.rlimits', async ({ sh }) => {
    const said = await sh('grep -E "core|locked|Max processes" /proc/self/limits | tr -s " "', (config) => {
      config.process.rlimits = [
        { type: 'RLIMIT_CORE', soft: 1024, hard: 2048 },
        { type: 'RLIMIT_MEMLOCK', soft: 4096, hard: 4096 },
        { type: 'RLIMIT_NPROC', soft: 999, hard: 999 },
      ];
    });
    equal(
      said,
      'Max core file size 1024 2048 bytes \nMax processes 999 999 processes \nMax locked memory 4096 4096 bytes \n',
    );
  });

  const wrong: [string, unknown][] = [
    ['an unknown type', [{ type: 'RLIMIT_NONSENSE', soft: 1, hard: 1 }]],
    [
      'a type twice',
      [
        // The lower one last: that the first cannot be raised again is no answer.
        { type: 'RLIMIT_CORE', soft: 2, hard: 2 },
        { type: 'RLIMIT_CORE', soft: 1, hard: 1 },
      ],
    ],
    ['a soft limit above the hard', [{ type: 'RLIMIT_CORE', soft: 2, hard: 1 }]],
  ];
  for (const [what, rlimits] of wrong) {
    it(`rlimits with ${what} are refused`, 'config.md, process.rlimits', async ({ container }) => {
      const it = container((config) => {
        config.process.rlimits = rlimits;
      });
      refused(await it.create());
    });
  }

  it('oomScoreAdj is set', 'config.md, process.oomScoreAdj', async ({ sh }) => {
    const said = await sh('cat /proc/self/oom_score_adj', (config) => {
      config.process.oomScoreAdj = 321;
    });
    equal(said, '321\n');
  });

  it('a scheduling policy is set', 'config.md, process.scheduler', async ({ container, bench }) => {
    const it = container((config) => {
      config.process.scheduler = { policy: 'SCHED_BATCH', nice: 5 };
    });
    await it.up();
    const stat = bench
      .proc(await it.pid(), 'stat')
      .split(') ')[1]
      ?.split(' ') as string[];
    // Fields 19 (nice) and 41 (policy) of proc_pid_stat(5); SCHED_BATCH is 3.
    deepEqual([stat[16], stat[38]], ['5', '3']);
  });

  it('an unknown scheduling policy is refused', 'config.md, process.scheduler', async ({ container }) => {
    const it = container((config) => {
      config.process.scheduler = { policy: 'SCHED_NONSENSE' };
    });
    refused(await it.create(), /SCHED_NONSENSE|policy/);
  });

  it('an I/O priority is set', 'config.md, process.ioPriority', async ({ container, bench }) => {
    const it = container((config) => {
      config.process.ioPriority = { class: 'IOPRIO_CLASS_BE', priority: 6 };
    });
    await it.up();
    equal(ok(await bench.run(['ionice', '-p', String(await it.pid())])), 'best-effort: prio 6\n');
  });

  it('a personality is set', 'config-linux.md, Personality', async ({ sh }) => {
    const said = await sh('uname -m; cat /proc/self/personality', (config) => {
      config.linux.personality = { domain: 'LINUX32' };
    });
    equal(said, 'i686\n00000008\n');
  });

  it('an unknown personality is refused', 'config-linux.md, Personality', async ({ container }) => {
    const it = container((config) => {
      config.linux.personality = { domain: 'LINUX64' };
    });
    refused(await it.create(), /LINUX64|personality/);
  });

  it('hostname and domainname are set', 'config.md, hostname, domainname', async ({ sh }) => {
    const said = await sh('cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname', (config) => {
      config.hostname = 'a-name';
      config.domainname = 'example.org';
    });
    equal(said, 'a-name\nexample.org\n');
  });

  it(
    'a hostname without a uts namespace of its own is refused',
    'config.md, hostname: must not be the host’s',
    async ({ container }) => {
      const it = container((config) => {
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'uts');
      });
      refused(await it.create(), /uts|hostname/i);
    },
  );

  it('sysctl values are set', 'config-linux.md, Sysctl', async ({ sh }) => {
    const said = await sh(
      'cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/fs/mqueue/msg_max',
      (config) => {
        config.linux.sysctl = {
          'kernel.shmmni': '1234',
          'net.ipv4.ip_unprivileged_port_start': '77',
          'fs.mqueue.msg_max': '11',
        };
      },
    );
    equal(said, '1234\n77\n11\n');
  });

  const foreign: [string, string, ((config: TestConfig) => void)?][] = [
    ['kernel.panic', 'is of the host'],
    ['vm.swappiness', 'is of the host'],
    ['net.ipv4.ip_forward', 'is of the host without a network namespace', (config) => without(config, 'network')],
    ['kernel.shmmni', 'is of the host without an ipc namespace', (config) => without(config, 'ipc')],
  ];
  for (const [name, why, edit] of foreign) {
    it(`a sysctl that ${why} is refused: ${name}`, 'runc: namespaced sysctl only', async ({ container }) => {
      const it = container((config) => {
        config.linux.sysctl = { [name]: '1' };
        edit?.(config);
      });
      refused(await it.create(), new RegExp(name.replaceAll('.', '\\.')));
    });
  }

  it('the program is process 1 with no descriptor but the three', 'runtime.md; CVE-2016-9962', async ({ sh }) => {
    equal(await sh('echo $$; ls /proc/self/fd | tr "\\n" " "'), '1\n0 1 2 3 ');
  });

  it('--preserve-fds hands on descriptors from 3 on', 'runc run --preserve-fds', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'cat <&4; ls /proc/self/fd | tr "\\n" " "'];
    });
    const path = join(it.bundle, 'given');
    writeFileSync(path, 'the second\n');
    const fds = [openSync('/dev/null', 'r'), openSync(path, 'r'), openSync('/dev/null', 'r')];
    try {
      equal(ok(await it.run(['--preserve-fds', '2'], { fds })), 'the second\n0 1 2 3 4 5 ');
    } finally {
      fds.forEach(closeSync);
    }
  });

  it('LISTEN_FDS hands on sockets of systemd', 'runc: sd_listen_fds(3)', async ({ container, bench }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd | tr "\\n" " "'];
    });
    const fds = [openSync('/dev/null', 'r')];
    try {
      it.save();
      const command = [bench.runtime.path, '--root', bench.root, 'run', '-b', it.bundle, it.id];
      const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"';
      equal(ok(await bench.run(['sh', '-c', script, 'sh', ...command], { fds })), '1 1\n0 1 2 3 4 ');
    } finally {
      fds.forEach(closeSync);
    }
  });

  for (const way of ['start', 'run -d', 'run']) {
    it(
      `NOTIFY_SOCKET: ${way} tells the manager that the program is ready`,
      'runc: sd_notify(3)',
      async ({ container, bench }) => {
        const it = container((config) => {
          const script = 'echo $NOTIFY_SOCKET > /said; while ! [ -e /over ]; do sleep 0.1; done';
          config.process.args = ['sh', '-c', script];
        });
        using folder = new OwnedFd(native.open(bench.world.folder, O_PATH | O_DIRECTORY));
        using manager = new OwnedFd(native.bindDatagramAt(folder.fd, `${it.id}.sock`, 0o600));
        const env = { NOTIFY_SOCKET: join(bench.world.folder, `${it.id}.sock`) };
        if (way === 'start') ok(await it.create([], { env }));
        it.save();
        const words = way === 'start' ? ['start'] : [...way.split(' '), '--bundle', it.bundle];
        const running = it.begin([...words, it.id], { env });
        await until(() => existsSync(join(it.rootfs, 'said')) && it.read('said') !== '', 'what the program says');
        const path = it.read('said').trim();
        match(path, /^\/run\/notify\//);
        const pid = await it.pid();
        const program = native.connectDatagram(`/proc/${bench.world.pid}/root/proc/${pid}/root${path}`);
        try {
          native.sendmsg(program, Buffer.from('STATUS=not yet'));
          native.sendmsg(program, Buffer.from('READY=1\nSTATUS=up\nMAINPID=1'));
        } finally {
          native.close(program);
        }
        const heard: string[] = [];
        const hears = () => {
          const message = native.recvmsg(manager.fd, 4096, 1);
          if (message !== null) heard.push(message.data.toString().trim());
          closeAll(message?.fds ?? []);
          return heard.some((line) => line.startsWith('MAINPID='));
        };
        await until(hears, 'the pid at the manager');
        equal(heard[0], 'READY=1');
        // A barrier that comes later is closed unread, with the socket.
        manager.close();
        // In the foreground the service is the runtime, which the world has below its nsenter.
        if (way === 'run') equal(heard[1] === `MAINPID=${pid}`, false);
        else equal(heard[1], `MAINPID=${pid}`);
        writeFileSync(join(it.rootfs, 'over'), '');
        equal((await running.ended).status, 0);
      },
    );
  }

  it('the environment of the runtime stays outside', 'config.md, process.env', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['env'];
    });
    const said = ok(await it.run([], { env: { OF_THE_RUNTIME: 'x' } }));
    deepEqual(
      said
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('HOME='))
        .sort(),
      ['PATH=/usr/bin:/bin', 'TERM=xterm'],
    );
  });

  it('a session of its own, also without a terminal', 'runc: setsid', async ({ container, bench }) => {
    const it = await container().up();
    const pid = await it.pid();
    const stat = bench.proc(pid, 'stat').split(') ')[1]?.split(' ') as string[];
    equal(Number(stat[3]), pid);
  });

  it('signals are at their defaults', 'execve(2): ignored signals stay ignored', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['grep', '-E', '^Sig(Ign|Blk)', '/proc/self/status'];
    });
    const said = ok(await it.run());
    deepEqual(said.match(/[0-9a-f]{16}/g), ['0'.repeat(16), '0'.repeat(16)]);
  });

  it('the program cannot be traced back to files of the runtime', 'CVE-2019-5736', async ({ container, bench }) => {
    const it = await container().up();
    truthy(existsSync(bench.inside(`/proc/${await it.pid()}/exe`)));
    match(ok(await bench.run(['readlink', `/proc/${await it.pid()}/exe`])), /busybox\n$/);
  });
});

function without(config: TestConfig, type: string): void {
  config.linux.namespaces = config.linux.namespaces.filter((namespace) => namespace.type !== type);
}
