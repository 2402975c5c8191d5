/** exec: a further process in a container that runs, with the container's settings and its own. runc exec; docs of its man page. */
import { deepEqual, equal, match, notEqual, ok as truthy } from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupOf, unified } from '../cgroups.js';
import { type Container, ok, refused } from '../container.js';
import { PASSED_ON, signalled, telling } from '../signalled.js';
import { suite } from '../suite.js';
import { until } from '../until.js';

/** A process.json for exec --process. */
function processFile(it: Container, changes: Record<string, unknown>): string {
  const path = join(it.bundle, 'process.json');
  const process = { cwd: '/', args: ['true'], env: ['PATH=/bin'], user: { uid: 0, gid: 0 }, ...changes };
  writeFileSync(path, JSON.stringify(process));
  return path;
}

export const exec = suite('exec', (it) => {
  it('runs a command in the namespaces of the container', 'runc exec', async ({ container, bench }) => {
    const it = await container().up();
    const pid = await it.pid();
    for (const type of ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'])
      equal(await it.execSh(`readlink /proc/self/ns/${type}`), `${bench.namespace(pid, type)}\n`);
    equal(await it.execSh('readlink /proc/1/root; hostname'), '/\nconformance\n');
  });

  it('hands on input, output and errors', 'runc exec', async ({ container }) => {
    const it = await container().up();
    const ran = await it.exec([], ['sh', '-c', 'cat; echo bad >&2; exit 3'], { stdin: 'in\n' });
    deepEqual(ran, { status: 3, stdout: 'in\n', stderr: 'bad\n' });
  });

  it('ends with the exit status', 'runc exec', async ({ container }) => {
    const it = await container().up();
    equal((await it.exec([], ['sh', '-c', 'exit 200'])).status, 200);
    equal((await it.exec([], ['sh', '-c', 'kill -9 $$'])).status, 137);
    equal((await it.exec([], ['sh', '-c', 'kill -TERM $$'])).status, 143);
  });

  it(
    'ends with 127 or 255 where there is no such program',
    'runc exec: 255; engines show 127',
    async ({ container }) => {
      const it = await container().up();
      const ran = await it.exec([], ['nosuchprogram']);
      match(ran.stderr, /nosuchprogram.*(not found|no such file)/i);
      truthy([127, 255].includes(ran.status), `status ${ran.status}`);
    },
  );

  it(
    'ends with 126 or 255 where the program is not executable',
    'runc exec: 255; engines show 126',
    async ({ container }) => {
      const it = await container().up();
      writeFileSync(join(it.rootfs, 'plain'), 'text', { mode: 0o644 });
      const ran = await it.exec([], ['/plain']);
      match(ran.stderr, /permission denied/i);
      truthy([126, 255].includes(ran.status), `status ${ran.status}`);
    },
  );

  it('is refused without a command', 'runc exec', async ({ container }) => {
    const it = await container().up();
    refused(await it.exec([], []));
  });

  it('is refused in a stopped container', 'runc exec', async ({ container }) => {
    const it = await container().up();
    await it.end();
    refused(await it.exec([], ['true']), /stopped|not running/);
  });

  it('is allowed in a created container', 'runc exec', async ({ container }) => {
    const it = container();
    ok(await it.create());
    equal(await it.execSh('echo early'), 'early\n');
    equal(await it.status(), 'created');
  });

  it("has the container's environment and working directory", 'runc exec', async ({ container }) => {
    const it = container((config) => {
      config.process.env.push('FROM=container');
      config.process.cwd = '/tmp';
    });
    await it.up();
    equal(await it.execSh('echo $FROM; pwd'), 'container\n/tmp\n');
  });

  it('--env adds to the environment, and replaces', 'runc exec --env', async ({ container }) => {
    const it = container((config) => {
      config.process.env.push('A=old', 'B=kept');
    });
    await it.up();
    equal(await it.execSh('echo $A $B $C', '--env', 'A=new', '--env', 'C=added'), 'new kept added\n');
  });

  it('--cwd is the working directory', 'runc exec --cwd', async ({ container }) => {
    const it = await container().up();
    equal(await it.execSh('pwd', '--cwd', '/etc'), '/etc\n');
  });

  it('--user gives uid and gid by number', 'runc exec --user', async ({ container }) => {
    const it = await container().up();
    equal(await it.execSh('id -u; id -g', '--user', '1000:2000'), '1000\n2000\n');
    equal(await it.execSh('id -u', '-u', '33'), '33\n');
  });

  it('another user than root has no capabilities', 'runc exec --user; capabilities(7)', async ({ container }) => {
    const it = await container().up();
    match(await it.execSh('grep CapEff /proc/self/status', '--user', '1000:1000'), /\t0{16}\n$/);
  });

  it('--additional-gids gives further groups', 'runc exec --additional-gids', async ({ container }) => {
    const it = await container().up();
    match(
      await it.execSh('grep Groups /proc/self/status', '--additional-gids', '100', '--additional-gids', '65533'),
      /^Groups:\s+100 65533/,
    );
  });

  it('--cap adds capabilities', 'runc exec --cap', async ({ container }) => {
    const it = await container().up();
    const effective = async (...flags: string[]) =>
      Number.parseInt((await it.execSh('grep CapEff /proc/self/status', ...flags)).split('\t')[1] as string, 16);
    const [without, more] = [await effective(), await effective('--cap', 'CAP_NET_RAW')];
    equal(more, without | (1 << 13));
    equal(without & (1 << 13), 0);
  });

  it('an unknown capability is refused', 'runc exec --cap', async ({ container }) => {
    const it = await container().up();
    const ran = await it.exec(['--cap', 'CAP_NONSENSE'], ['true']);
    // runc ignores it with a warning, since a newer engine may know more.
    truthy(ran.status !== 0 || /CAP_NONSENSE/.test(ran.stderr), ran.stderr);
  });

  it('--no-new-privs sets the bit', 'runc exec --no-new-privs', async ({ container }) => {
    const it = container((config) => {
      config.process.noNewPrivileges = false;
    });
    await it.up();
    equal(await it.execSh('grep NoNewPrivs /proc/self/status'), 'NoNewPrivs:\t0\n');
    equal(await it.execSh('grep NoNewPrivs /proc/self/status', '--no-new-privs'), 'NoNewPrivs:\t1\n');
  });

  it('--process takes a process of the specification', 'runc exec --process', async ({ container }) => {
    const it = await container().up();
    const file = processFile(it, {
      args: [
        'sh',
        '-c',
        'echo $X; pwd; id -u; id -g; grep core /proc/self/limits | tr -s " "; grep NoNewPrivs /proc/self/status',
      ],
      env: ['PATH=/bin', 'X=y'],
      cwd: '/tmp',
      user: { uid: 12, gid: 34 },
      noNewPrivileges: true,
      rlimits: [{ type: 'RLIMIT_CORE', soft: 77, hard: 88 }],
    });
    equal(ok(await it.exec(['--process', file])), 'y\n/tmp\n12\n34\nMax core file size 77 88 bytes \nNoNewPrivs:\t1\n');
  });

  it('--process can have a umask', 'config.md, process.user.umask', async ({ container }) => {
    const it = await container().up();
    const file = processFile(it, { args: ['sh', '-c', 'umask'], user: { uid: 0, gid: 0, umask: 0o27 } });
    equal(ok(await it.exec(['--process', file])), '0027\n');
  });

  it('a process file without args is refused', 'runc exec --process', async ({ container }) => {
    const it = await container().up();
    refused(await it.exec(['--process', processFile(it, { args: [] })]), /args/);
    refused(await it.exec(['--process', '/nonexistent']));
  });

  it('joins the cgroup of the container', 'runc exec', async ({ container }) => {
    const it = await container().up();
    const paths = (await it.execSh('cat /proc/self/cgroup; echo; cat /proc/1/cgroup')).split('\n\n');
    equal(paths[0], paths[1]?.trimEnd());
  });

  it('--cgroup joins one below it', 'runc exec --cgroup (1.1)', async ({ container, skip }) => {
    const it = container();
    const own = cgroupOf('pids', it.config.linux.cgroupsPath) ?? skip('this machine has no pids controller');
    const controller = unified ? '' : 'pids:';
    await it.up();
    mkdirSync(join(own, 'sub'));
    match(await it.execSh('cat /proc/self/cgroup', '--cgroup', `${controller}sub`), /:(pids)?:\/sub$/m);
    refused(await it.exec(['--cgroup', `${controller}nothere`], ['true']));
  });

  it('--detach leaves the process running', 'runc exec --detach', async ({ container, bench }) => {
    const it = await container().up();
    const file = join(it.bundle, 'exec.pid');
    ok(await it.exec(['--detach', '--pid-file', file], ['sh', '-c', 'until [ -e /go ]; do sleep 0.02; done; exit 9']));
    const pid = Number(readFileSync(file, 'utf8'));
    equal(bench.namespace(pid, 'mnt'), bench.namespace(await it.pid(), 'mnt'));
    writeFileSync(join(it.rootfs, 'go'), '');
    equal(await bench.exitOf(pid), 9);
  });

  it('--pid-file holds its pid', 'runc exec --pid-file', async ({ container, bench }) => {
    const it = await container().up();
    const file = join(it.bundle, 'exec.pid');
    const running = it.begin(['exec', '--pid-file', file, it.id, 'sleep', '999']);
    // It is there before its content is: crun opens it and then writes.
    await until(() => existsSync(file) && readFileSync(file, 'utf8') !== '');
    const pid = Number(readFileSync(file, 'utf8'));
    await until(() => bench.proc(pid, 'cmdline') === 'sleep\x00999\x00');
    notEqual(pid, await it.pid());
    ok(await bench.run(['kill', '-KILL', String(pid)]));
    equal((await running.ended).status, 137);
  });

  it('ps has it too', 'runc ps', async ({ container }) => {
    const it = await container().up();
    const file = join(it.bundle, 'exec.pid');
    ok(await it.exec(['-d', '--pid-file', file], ['sleep', '999']));
    const pids = JSON.parse(ok(await it.oci(['ps', '--format', 'json', it.id]))) as number[];
    deepEqual(pids.sort(), [await it.pid(), Number(readFileSync(file, 'utf8'))].sort());
  });

  it(
    '--preserve-fds hands on descriptors from 3 on, and no others',
    'runc exec --preserve-fds',
    async ({ container }) => {
      const it = await container().up();
      const path = join(it.bundle, 'given');
      writeFileSync(path, 'through a descriptor');
      const fds = [openSync(path, 'r'), openSync(path, 'r')];
      try {
        const script = 'cat <&3; echo; ls /proc/self/fd | sort -n | head -n 5 | tr "\\n" " "';
        const ran = await it.exec(['--preserve-fds', '1'], ['sh', '-c', script], { fds });
        // 3 is the descriptor of ls for the directory, where 3 was taken it is the next.
        equal(ok(ran), 'through a descriptor\n0 1 2 3 4 ');
      } finally {
        fds.forEach(closeSync);
      }
    },
  );

  it('descriptors are not handed on unasked', 'runc exec; CVE-2016-9962', async ({ container }) => {
    const it = await container().up();
    const fds = [openSync('/etc/passwd', 'r')];
    try {
      equal(ok(await it.exec([], ['sh', '-c', 'ls /proc/self/fd | tr "\\n" " "'], { fds })), '0 1 2 3 ');
    } finally {
      fds.forEach(closeSync);
    }
  });

  it("has the container's seccomp filter", 'runc exec', async ({ container }) => {
    const it = container((config) => {
      config.linux.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
      };
    });
    await it.up();
    match((await it.exec([], ['mkdir', '/x'])).stderr, /No space left/);
  });

  it("has the container's rlimits and oom_score_adj", 'runc exec', async ({ container }) => {
    const it = container((config) => {
      config.process.rlimits = [{ type: 'RLIMIT_CORE', soft: 111, hard: 222 }];
      config.process.oomScoreAdj = 345;
    });
    await it.up();
    equal(
      await it.execSh('grep core /proc/self/limits | tr -s " "; cat /proc/self/oom_score_adj'),
      'Max core file size 111 222 bytes \n345\n',
    );
  });

  it('joins a user namespace as its root', 'runc exec', async ({ container, bench }) => {
    const it = container((config) => {
      config.linux.namespaces.push({ type: 'user' });
      config.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 1000 }];
      config.linux.gidMappings = [{ containerID: 0, hostID: 200_000, size: 1000 }];
    });
    await bench.run(['chown', '-R', '100000:200000', it.rootfs]);
    await it.up();
    equal(
      await it.execSh('id -u; id -g; readlink /proc/self/ns/user'),
      `0\n0\n${bench.namespace(await it.pid(), 'user')}\n`,
    );
  });

  it(
    'what a foreground exec is sent is passed on',
    'runc exec: all signals that can be caught',
    async ({ container }) => {
      const it = await container().up();
      const running = it.begin(['exec', it.id, 'sh', '-c', telling(PASSED_ON)]);
      await signalled(it, `exec ${it.id} sh -c trap`, PASSED_ON);
      ok(await it.kill('KILL'));
      equal((await running.ended).status, 137);
    },
  );

  it('a signal to a foreground exec reaches its process', 'runc exec forwards signals', async ({ container }) => {
    const it = await container().up();
    const script = "trap 'exit 77' TERM; echo > /ready; while :; do sleep 0.05; done";
    const running = it.begin(['exec', it.id, 'sh', '-c', script]);
    await until(() => existsSync(join(it.rootfs, 'ready')));
    const children = ok(await it.bench.run(['pgrep', '-f', `^.*exec ${it.id} sh -c trap`]))
      .trim()
      .split('\n');
    ok(await it.bench.run(['kill', '-TERM', children[0] as string]));
    equal((await running.ended).status, 77);
  });
});
