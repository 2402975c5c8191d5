/** Bundles as other people's tools write them, and the terminal that they ask for. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { makeRootfs } from '../harness/rootfs.js';
import { CLOSE, typing } from '../harness/typing.js';
import { inWorld, type World } from '../harness/world.js';

function needs(context: TestContext, program: string): void {
  const there = (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)));
  if (!there) context.skip(`${program} is not installed`);
}

async function specBundle(world: World, ...options: string[]): Promise<string> {
  const bundle = join(world.folder, 'bundle');
  makeRootfs(join(bundle, 'rootfs'));
  expect((await world.run(['runc', 'spec', '--bundle', bundle, ...options])).status).toBe(0);
  return bundle;
}

/**
 * What is still between the two ends of a terminal when its session leader ends is dropped by the kernel (tty_vhangup), with
 * every runtime. On a busy machine that may be the last words, so the tests let them arrive.
 */
const SETTLE = 'sleep 2';

/** Runs the words in a terminal of 97 columns and 31 rows, as a person would. */
const inTerminal = (world: World, words: string, stdin = '') =>
  world.run(['script', '-qec', `stty cols 97 rows 31; ${words}`, '/dev/null'], { stdin });

describe('a bundle', () => {
  it('of runc spec runs, with its terminal', (context) => {
    needs(context, 'runc');
    needs(context, 'script');
    return inWorld('runc', async (world) => {
      const bundle = await specBundle(world);
      const ran = await inTerminal(
        world,
        `tare run --bundle ${bundle} -- sh -c 'tty; stty size; ls -l /dev/console; ${SETTLE}; exit 3'`,
      );
      // The outer terminal echoes the end of the input (^@) wherever it happens to come.
      expect(ran.stdout.replaceAll('^@', '')).toMatch(/\/dev\/pts\/0\r?\n31 97\r?\ncrw/);
      expect(ran.status).toBe(3);
    });
  });

  it('of runc spec runs with tare-oci, which says what is wrong as runc’s callers read it', (context) => {
    needs(context, 'runc');
    return inWorld('oci', async (world) => {
      const bundle = await specBundle(world);
      const file = join(bundle, 'config.json');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      config.process.terminal = false;
      config.process.args = ['sh', '-c', 'hostname; grep -E "Cap(Eff|Inh)" /proc/self/status; touch /x; exit 9'];
      writeFileSync(file, JSON.stringify(config));
      const pidFile = join(world.folder, 'tmp/pid');
      const log = join(world.folder, 'tmp/log');
      const ran = await world.run([
        'tare-oci',
        '--log',
        log,
        '--log-format',
        'json',
        'run',
        '--bundle',
        bundle,
        '--pid-file',
        pidFile,
        'c1',
      ]);
      expect(ran.stdout).toBe('runc\nCapInh:\t0000000000000000\nCapEff:\t0000000020000420\n');
      expect(ran.stderr).toMatch(/Read-only file system/);
      expect(ran.status).toBe(9);
      expect(Number(readFileSync(pidFile, 'utf8'))).toBeGreaterThan(1);

      const refused = await world.run(['tare-oci', '--log', log, '--log-format', 'json', 'start', 'c1']);
      expect(refused).toMatchObject({ status: 1, stdout: '' });
      expect(refused.stderr).toMatch(/^tare-oci: container does not exist: there is no container c1\n$/);
      const lines = readFileSync(log, 'utf8').trim().split('\n');
      expect(JSON.parse(lines.at(-1) as string)).toMatchObject({
        level: 'error',
        msg: expect.stringContaining('container does not exist'),
      });
      for (const path of [pidFile, log]) await world.run(['rm', path]);
    });
  });

  it('of umoci unpack runs', (context) => {
    needs(context, 'umoci');
    return inWorld('umoci', async (world) => {
      const bundle = join(world.folder, 'bundle');
      const image = join(world.folder, 'image');
      for (const words of [`init --layout ${image}`, `new --image ${image}:t`, `unpack --image ${image}:t ${bundle}`]) {
        expect((await world.run(['umoci', ...words.split(' ')])).status, words).toBe(0);
      }
      makeRootfs(join(bundle, 'rootfs'));
      const file = join(bundle, 'config.json');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(file, JSON.stringify({ ...config, process: { ...config.process, terminal: false } }));
      const ran = await world.tare([
        'run',
        '--bundle',
        bundle,
        '--',
        'sh',
        '-c',
        'hostname; grep CapAmb /proc/self/status',
      ]);
      expect(ran).toMatchObject({ status: 0, stdout: 'umoci-default\nCapAmb:\t0000000020000420\n', stderr: '' });
    });
  });
});

describe('a bundle that asks for much', () => {
  it('gets it: devices, parameters, limits, groups, names, a network of somebody else', (context) => {
    needs(context, 'runc');
    needs(context, 'ip');
    return inWorld('much', async (world) => {
      const bundle = await specBundle(world);
      const file = join(bundle, 'config.json');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      const script = `id -G; cat /proc/self/oom_score_adj /proc/sys/kernel/shm_rmid_forced; ulimit -n; umask
        stat -c '%a %u %g %t:%T' /dev/zero /dev/fuse; pwd; stat -c '%a %u %g' .; echo $HOME; test -p /dev/pipe && echo pipe; ip -o link show lo | cut -d' ' -f2
        cat /proc/sys/kernel/domainname; cat /sys/fs/cgroup/pids/pids.max; cut -d: -f3 /proc/self/cgroup | sort -u`;
      Object.assign(config.process, {
        terminal: false,
        args: ['sh', '-c', script],
        cwd: '/srv/not/there', // runc spec asks for a read-only root
        oomScoreAdj: 500,
        user: { uid: 0, gid: 0, umask: 0o77, additionalGids: [5, 6] },
        rlimits: [{ type: 'RLIMIT_NOFILE', soft: 64, hard: 128 }],
      });
      config.domainname = 'example';
      Object.assign(config.linux, {
        namespaces: ['mount', 'pid', 'ipc', 'uts']
          .map((type) => ({ type }))
          .concat([{ type: 'network', path: `/proc/1/ns/net` } as never]),
        sysctl: { 'kernel.shm_rmid_forced': '1' },
        cgroupsPath: `${world.cgroup}/deep/one`,
        rootfsPropagation: 'rshared',
        devices: [
          { type: 'c', path: '/dev/zero', major: 1, minor: 5, fileMode: 0o600, uid: 7 },
          { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 0o640, uid: 5, gid: 6 },
          { type: 'p', path: '/dev/pipe' },
        ],
      });
      config.linux.resources.pids = { limit: 50 };
      writeFileSync(file, JSON.stringify(config));
      const { stdout, status } = await world.tare(['run', '--bundle', bundle]);
      expect(stdout.trim().split('\n')).toEqual([
        '0 5 6',
        '500',
        '1',
        '64',
        '0077',
        '600 7 0 1:5',
        '640 5 6 a:e5',
        '/srv/not/there',
        '755 0 0',
        '/root',
        'pipe',
        'lo:',
        'example',
        '50',
        `${world.cgroup}/deep/one`,
      ]);
      expect(status).toBe(0);
      for (const hierarchy of ['cpu', 'memory'])
        expect(existsSync(`/sys/fs/cgroup/${hierarchy}${world.cgroup}/deep/one`)).toBe(false);
      await world.run(['sh', '-c', `rmdir /sys/fs/cgroup/*${world.cgroup}/deep`]); // its parent may be others' too
    });
  });
});

describe('a terminal', () => {
  it('passes on what is typed, and is put back', (context) => {
    needs(context, 'script');
    return inWorld('tty', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const ran = await inTerminal(
        world,
        `tare run --rootfs ${rootfs} -it -- sh -c 'read line; echo "got $line"; ${SETTLE}'; stty -a | grep -o -- '-\\?icanon'`,
        'hello\n',
      );
      expect(ran.stdout).toMatch(/got hello\r\n/);
      expect(ran.stdout).toMatch(/\nicanon/);
    });
  });

  it('has a size that changes with ours', (context) => {
    needs(context, 'script');
    return inWorld('resize', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const inner = `trap 'stty size; ${SETTLE}; exit' WINCH; echo ready; while :; do sleep 0.05; done`;
      const script = `
        tty=$(tty)
        (until [ -s "$TMPDIR/out" ]; do sleep 0.1; done; sleep 0.3; stty cols 61 rows 17 < $tty) &
        tare run --rootfs ${rootfs} -it -- sh -c "${inner}" | tee "$TMPDIR/out"; rm "$TMPDIR/out"`;
      writeFileSync(join(world.folder, 'script'), script);
      const ran = await world.run(['script', '-qec', `bash ${join(world.folder, 'script')}`, '/dev/null']);
      expect(ran.stdout).toContain('17 61');
    });
  });

  it('hangs up when ours is closed, and nothing is left', (context) => {
    needs(context, 'script');
    return inWorld('hangup', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      await typing(world, `tare run --rootfs ${rootfs} -it -- sh`, [['/ # ', CLOSE]]);
      // The leak check of the world waits for what is being undone, and fails for what stays.
    });
  });

  it('belongs to a session of its own, to which Ctrl-C goes', (context) => {
    needs(context, 'script');
    return inWorld('ctrl-c', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const ran = await inTerminal(
        world,
        `tare run --rootfs ${rootfs} -it -- sh -c 'trap "echo interrupted; exit 4" INT; echo ready; sleep 5 & wait'`,
        '\x03',
      );
      // Typed before the shell was ready it may have been lost with the raw mode; then the sleep ends by itself.
      expect([0, 4, 130]).toContain(ran.status);
    });
  });
});
