/** seccomp: what each action and operator does to the program, and who is told. config-linux.md, Seccomp; seccomp_unotify(2). */
import { deepEqual, equal, match } from 'node:assert/strict';
import { join } from 'node:path';
import type { TestConfig } from '../config.js';
import { ok, refused } from '../container.js';
import { Receiver } from '../receiver.js';
import { type Scene, suite } from '../suite.js';

const ALLOW = { defaultAction: 'SCMP_ACT_ALLOW' };
const MKDIR = ['mkdir', 'mkdirat'];

/** Until then the signals would end it. */
const UNTIL_ASLEEP = 'until grep -q sleep /proc/$child/comm; do sleep 0.02; done;';

export const seccomp = suite('seccomp', (it) => {
  it('a filter is set, and there is none without', 'config-linux.md, Seccomp', async ({ sh }) => {
    equal(await sh('grep ^Seccomp: /proc/self/status'), 'Seccomp:\t0\n');
    equal(await sh('grep ^Seccomp: /proc/self/status', filter([])), 'Seccomp:\t2\n');
  });

  it('SCMP_ACT_ERRNO gives EPERM, or the errno that is told', 'config-linux.md, Seccomp: errnoRet', async ({ sh }) => {
    match(await sh('mkdir /x 2>&1 || true', filter([{ names: MKDIR, action: 'SCMP_ACT_ERRNO' }])), /not permitted/);
    match(
      await sh('mkdir /x 2>&1 || true', filter([{ names: MKDIR, action: 'SCMP_ACT_ERRNO', errnoRet: 30 }])),
      /Read-only file system/,
    );
  });

  it(
    'defaultErrnoRet is the errno of the default action',
    'config-linux.md, Seccomp: defaultErrnoRet',
    async ({ container }) => {
      const allowed = [
        'execve',
        'exit_group',
        'exit',
        'write',
        'read',
        'open',
        'openat',
        'close',
        'fstat',
        'mmap',
        'munmap',
        'mprotect',
        'brk',
        'arch_prctl',
        'set_tid_address',
      ];
      const more = [
        'set_robust_list',
        'rseq',
        'prlimit64',
        'readlink',
        'readlinkat',
        'getrandom',
        'newfstatat',
        'stat',
        'futex',
        'rt_sigaction',
        'rt_sigprocmask',
        'fcntl',
        'getcwd',
        'chdir',
        'getuid',
        'prctl',
        'ioctl',
        'rt_sigreturn',
        'epoll_pwait',
        'nanosleep',
        'madvise',
        'statx',
        'getdents64',
        'lseek',
        'close_range',
        'execveat',
        'sendto',
        'sendmsg',
        'setgroups',
        'setuid',
        'setgid',
        'setresuid',
        'setresgid',
        'capset',
        'capget',
        'dup3',
        'umask',
        'getppid',
        'getpid',
        'gettid',
        'tgkill',
        'kill',
        'clone',
        'sched_yield',
        'sigaltstack',
        'fstatfs',
        'poll',
        'ppoll',
        'dup2',
        'recvmsg',
        'recvfrom',
        'seccomp',
        'faccessat2',
        'faccessat',
        'statfs',
        'openat2',
        'fchdir',
      ];
      const it = container((config) => {
        config.process.args = ['mkdir', '/x'];
        config.linux.seccomp = {
          defaultAction: 'SCMP_ACT_ERRNO',
          defaultErrnoRet: 28,
          syscalls: [{ names: [...allowed, ...more], action: 'SCMP_ACT_ALLOW' }],
        };
      });
      match((await it.run()).stderr, /No space left/);
    },
  );

  for (const [action, status] of [
    ['SCMP_ACT_KILL', 159],
    ['SCMP_ACT_KILL_PROCESS', 159],
    ['SCMP_ACT_KILL_THREAD', 159],
    ['SCMP_ACT_TRAP', 159],
  ] as const) {
    it(`${action} ends the program by SIGSYS`, 'config-linux.md, Seccomp: actions', async ({ container }) => {
      const it = container((config) => {
        config.process.args = ['sh', '-c', 'mkdir /x; echo $?'];
        filter([{ names: MKDIR, action }])(config);
      });
      match(ok(await it.run()), new RegExp(`^${status}$`, 'm'));
    });
  }

  it('SCMP_ACT_LOG lets it pass', 'config-linux.md, Seccomp: actions', async ({ sh }) => {
    equal(await sh('mkdir /x && echo made', filter([{ names: MKDIR, action: 'SCMP_ACT_LOG' }])), 'made\n');
  });

  // kill(pid, signal): the signal is argument 1.
  const operators: [op: string, value: number, valueTwo: number, hits: number[], misses: number[]][] = [
    ['SCMP_CMP_EQ', 10, 0, [10], [12]],
    ['SCMP_CMP_NE', 10, 0, [12], [10]],
    ['SCMP_CMP_LT', 12, 0, [10], [12]],
    ['SCMP_CMP_LE', 12, 0, [10, 12], [14]],
    ['SCMP_CMP_GT', 12, 0, [14], [12]],
    ['SCMP_CMP_GE', 12, 0, [12, 14], [10]],
    ['SCMP_CMP_MASKED_EQ', 8, 8, [10, 12], [1]],
    ['SCMP_CMP_MASKED_EQ', 8, 24, [10, 12], [1]],
  ];
  for (const [op, value, valueTwo, hits, misses] of operators) {
    it(`${op} compares an argument with ${valueTwo || value}`, 'config-linux.md, Seccomp: args', async ({ sh }) => {
      const script = [...hits, ...misses].map((signal) => `kill -${signal} $child 2>&1 | grep -c permitted`).join('; ');
      const said = await sh(
        `(trap '' 1 10 12 14; exec sleep 100) & child=$!; ${UNTIL_ASLEEP} ${script}; true`,
        (config) =>
          filter([{ names: ['kill'], action: 'SCMP_ACT_ERRNO', args: [{ index: 1, value, valueTwo, op }] }])(config),
      );
      deepEqual(said.trim().split('\n'), [...hits.map(() => '1'), ...misses.map(() => '0')]);
    });
  }

  it('an unknown system call is passed over', 'runc: unknown names are ignored', async ({ sh }) => {
    equal(await sh('echo fine', filter([{ names: ['no_such_call', 'mkdir'], action: 'SCMP_ACT_ERRNO' }])), 'fine\n');
  });

  for (const [what, changes] of [
    ['action', { defaultAction: 'SCMP_ACT_NONSENSE' }],
    [
      'architecture',
      { ...ALLOW, architectures: ['SCMP_ARCH_NONSENSE'], syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO' }] },
    ],
    [
      'operator',
      {
        ...ALLOW,
        syscalls: [
          { names: ['kill'], action: 'SCMP_ACT_ERRNO', args: [{ index: 1, value: 1, op: 'SCMP_CMP_NONSENSE' }] },
        ],
      },
    ],
    [
      'flag',
      { ...ALLOW, flags: ['SECCOMP_FILTER_FLAG_NONSENSE'], syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO' }] },
    ],
  ] as const) {
    it(`an unknown ${what} is refused`, 'config-linux.md, Seccomp', async ({ container }) => {
      const it = container((config) => {
        config.linux.seccomp = changes;
      });
      refused(await it.create(), /NONSENSE/);
    });
  }

  it(
    'a filter without noNewPrivileges is set too',
    'seccomp(2): by CAP_SYS_ADMIN, before it is dropped',
    async ({ sh }) => {
      const said = await sh(
        'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status; mkdir /x 2>/dev/null || echo refused',
        (config) => {
          filter([{ names: MKDIR, action: 'SCMP_ACT_ERRNO' }])(config);
          config.process.noNewPrivileges = false;
        },
      );
      equal(said, 'NoNewPrivs:\t0\nSeccomp:\t2\nrefused\n');
    },
  );

  it(
    'a listener gets the state of the container and the descriptor',
    'config-linux.md, The Seccomp Container Process State',
    async (scene) => {
      const { it, socket } = await notified(scene);
      ok(await it.create());
      const pid = await it.pid();
      ok(await it.start());
      const { data, fds } = await socket.message();
      const state = JSON.parse(data) as Record<string, unknown>;
      deepEqual(
        [state.fds, fds.length, state.pid, state.metadata, (state.state as { id: string }).id],
        [['seccompFd'], 1, pid, 'of the agent', it.id],
      );
      match(String(state.ociVersion), /^1\./);
      // Nobody answers any more: the call fails with ENOSYS, seccomp_unotify(2).
      socket.drop();
      equal(await scene.bench.exitOf(pid), 0);
      match(it.read('said'), /not implemented/);
    },
  );

  it('a listener is told of an exec too', 'config-linux.md, The Seccomp Container Process State', async (scene) => {
    const { it, socket } = await notified(scene, ['sleep', '1000']);
    ok(await it.create());
    ok(await it.start());
    await socket.message();
    const running = it.begin(['exec', it.id, 'mkdir', '/x']);
    const { data, fds } = await socket.message();
    deepEqual([(JSON.parse(data) as { fds: unknown }).fds, fds.length], [['seccompFd'], 1]);
    socket.drop();
    match((await running.ended).stderr, /not implemented/);
  });

  it('a listener that is not there is an error', 'config-linux.md, Seccomp: listenerPath', async ({ container }) => {
    const it = container((config) => {
      config.linux.seccomp = {
        ...ALLOW,
        listenerPath: '/no/such/socket',
        syscalls: [{ names: MKDIR, action: 'SCMP_ACT_NOTIFY' }],
      };
    });
    const created = await it.create();
    refused(created.status === 0 ? await it.start() : created);
  });

  it(
    'SCMP_ACT_NOTIFY without a listenerPath is refused',
    'config-linux.md, Seccomp: listenerPath',
    async ({ container }) => {
      const it = container(filter([{ names: MKDIR, action: 'SCMP_ACT_NOTIFY' }]));
      refused(await it.create(), /listener|notify/i);
    },
  );
});

function filter(syscalls: readonly Record<string, unknown>[]): (config: TestConfig) => void {
  return (config) => {
    config.linux.seccomp = { ...ALLOW, syscalls };
  };
}

/** A container whose mkdir is told to an agent. */
async function notified(scene: Scene, args = ['sh', '-c', 'mkdir /x 2> /said; exit 0']) {
  const it = scene.container();
  const socket = await Receiver.listen(join(it.bundle, 's'));
  scene.later(() => socket.close());
  it.config.process.args = args;
  it.config.linux.seccomp = {
    ...ALLOW,
    listenerPath: socket.path,
    listenerMetadata: 'of the agent',
    syscalls: [{ names: MKDIR, action: 'SCMP_ACT_NOTIFY' }],
  };
  return { it, socket };
}
