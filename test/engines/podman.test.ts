/** Podman, and conmon below it, with Tare as the runtime. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ran } from '../harness/world.js';
import { onTerminal, Place, RUNTIME, until } from './engine.js';

/** The cgroups of conmon, and those of pods in hierarchies that Podman does not know. */
const PODMANS_OWN = /^cgroup (\w+\/[^/]+\/conmon|(systemd|unified)\/[^/]+\/[0-9a-f]{64})$/;

class Podman {
  private constructor(readonly place: Place) {}

  static async open(): Promise<Podman> {
    const podman = new Podman(await Place.open('podman', PODMANS_OWN));
    try {
      await podman.ok('import', podman.place.image, 'box');
      return podman;
    } catch (error) {
      await podman.place.close();
      throw error;
    }
  }

  command(...args: readonly string[]): string[] {
    const { folder } = this.place;
    const places = ['--root', join(folder, 'data'), '--runroot', join(folder, 'run'), '--tmpdir', join(folder, 'tmp')];
    const machine = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'];
    return ['podman', ...places, ...machine, '--runtime', RUNTIME, ...args];
  }

  call(args: readonly string[], stdin?: string): Promise<Ran> {
    return this.place.run(this.command(...args), { stdin });
  }

  ok(...args: readonly string[]): Promise<string> {
    return this.place.ok(this.command(...args));
  }

  /** What `run` and `create` are given: this machine has no bridge, its cgroup is the test's, and files are limited as the caller is. */
  options(options: readonly string[]): string[] {
    const own = [
      '--cgroup-parent',
      this.place.world.cgroup,
      '--ulimit',
      'nofile=1024:1024',
      '--ulimit',
      'nproc=1024:1024',
    ];
    const network = options.some((option) => option === '--network' || option === '--pod') ? [] : ['--network', 'none'];
    return [...network, ...own, ...options, 'box'];
  }

  run(options: readonly string[], command: readonly string[], stdin?: string): Promise<Ran> {
    return this.call(['run', '--rm', ...this.options(options), ...command], stdin);
  }

  async sh(options: readonly string[], script: string): Promise<string> {
    const { status, stdout, stderr } = await this.run(options, ['sh', '-c', script]);
    if (status !== 0) throw new Error(`status ${status}: ${stderr}${stdout}`);
    return stdout.trimEnd();
  }

  async up<T>(name: string, options: readonly string[], command: readonly string[], use: () => Promise<T>): Promise<T> {
    await this.ok('run', '--detach', '--name', name, ...this.options(options), ...command);
    try {
      return await use();
    } finally {
      await this.ok('rm', '--force', '--time', '0', name);
    }
  }
}

describe('podman', { timeout: 180_000 }, () => {
  let podman: Podman;
  beforeAll(async () => {
    podman = await Podman.open();
  });
  afterAll(() => podman?.place.close());

  it('knows the runtime', async () => {
    const version = await podman.ok('info', '--format', '{{.Host.OCIRuntime.Path}} {{.Host.OCIRuntime.Version}}');
    expect(version).toMatch(/tare-oci tare-oci version \d+\.\d+\.\d+\nspec: 1\./);
  });

  it('gives the exit code of the program, 126 and 127', async () => {
    const codes: number[] = [];
    for (const command of [['sh', '-c', 'exit 7'], ['/etc/passwd'], ['no-such-program']])
      codes.push((await podman.run([], command)).status);
    expect(codes).toEqual([7, 126, 127]);
  });

  it('passes standard input and output, or a terminal', async () => {
    expect(await podman.run(['--interactive'], ['cat'], 'typed\n')).toMatchObject({ status: 0, stdout: 'typed\n' });
    const script = 'tty; test -t 0 -a -t 1 -a -t 2; echo $?; hostname; exit 3';
    const options = podman.options(['-i', '-t', '--hostname', 'named']);
    const { status, stdout } = await podman.place.run(
      onTerminal(podman.command('run', '--rm', ...options, 'sh', '-c', script)),
    );
    expect([status, stdout.replaceAll('\r', '')]).toEqual([3, expect.stringContaining('/dev/pts/0\n0\nnamed\n')]);
  });

  it('makes what the options ask for', async () => {
    const shared = join(podman.place.folder, 'shared');
    mkdirSync(shared);
    writeFileSync(join(shared, 'file'), 'of the host\n');
    const options = [
      ...[
        '--hostname',
        'named',
        '--memory',
        '64m',
        '--cpus',
        '0.5',
        '--pids-limit',
        '50',
        '--volume',
        `${shared}:/ro:ro`,
      ],
      ...['--tmpfs', '/scratch:size=1m,mode=1777', '--read-only', '--cap-drop', 'ALL', '--cap-add', 'NET_RAW'],
      ...['--security-opt', 'no-new-privileges', '--shm-size', '2m', '--device', '/dev/zero:/dev/nought', '--init'],
      ...[
        '--init-path',
        '/usr/bin/tini-static',
        '--sysctl',
        'net.ipv4.ip_forward=1',
        '--env',
        'A=b',
        '--workdir',
        '/tmp',
        '--user',
        '1000',
      ],
    ];
    const script = `
      cat /proc/1/comm; hostname; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us
      cat /sys/fs/cgroup/pids/pids.max /ro/file
      touch /ro/x 2>/dev/null || echo refused; touch /x 2>/dev/null || echo refused; touch /scratch/x && echo made
      grep ' /dev/shm ' /proc/mounts | grep -o size=2048k; head -c 2 /dev/nought | wc -c
      grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t '
      cat /proc/sys/net/ipv4/ip_forward; echo $A $PWD; id -u; ulimit -n`;
    expect((await podman.sh(options, script)).split('\n')).toEqual([
      ...[
        'podman-init',
        'named',
        '67108864',
        '50000',
        '50',
        'of the host',
        'refused',
        'refused',
        'made',
        'size=2048k',
        '2',
      ],
      ...['CapBnd:0000000000002000', 'NoNewPrivs:1', 'Seccomp:2', '1', 'b /tmp', '1000', '1024'],
    ]);
  });

  it('maps users, and runs privileged and in the network of the host', async () => {
    const mapping = ['--uidmap', '0:100000:1000', '--gidmap', '0:100000:1000'];
    expect(await podman.sh(mapping, 'tr -s " " < /proc/self/uid_map; id -u; touch /made && stat -c %u /made')).toBe(
      ' 0 100000 1000\n0\n0',
    );
    expect(
      await podman.sh(
        ['--privileged', '--network', 'host'],
        'grep Seccomp: /proc/self/status | cut -f2; readlink /proc/self/ns/net',
      ),
    ).toBe(`0\n${await podman.place.ok(['readlink', '/proc/self/ns/net'])}`);
  });

  it('executes, pauses, shows, changes, and stops', async () => {
    const script = 'trap "echo got; exit 3" TERM; echo up; while :; do sleep 0.1; done';
    await podman.up('main', ['--memory', '64m'], ['sh', '-c', script], async () => {
      const exec = (...args: string[]) => podman.call(['exec', ...args], 'typed\n');
      const state = () => podman.ok('inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', 'main');
      expect(await exec('-i', 'main', 'cat')).toMatchObject({ status: 0, stdout: 'typed\n' });
      const given = await exec(
        '-u',
        '1000',
        '-e',
        'A=b',
        '-w',
        '/tmp',
        'main',
        'sh',
        '-c',
        'id -u; echo $A; pwd; exit 4',
      );
      expect(given).toMatchObject({ status: 4, stdout: '1000\nb\n/tmp\n' });
      expect((await exec('main', 'no-such-program')).status).toBe(127);
      await podman.ok('exec', '--detach', 'main', 'touch', '/tmp/detached');
      const terminal = await podman.place.run(onTerminal(podman.command('exec', '-it', 'main', 'tty')));
      expect([terminal.status, terminal.stdout]).toEqual([0, expect.stringMatching(/\/dev\/pts\/\d/)]);
      expect(await until('/tmp/detached\n', async () => (await exec('main', 'ls', '/tmp/detached')).stdout)).toBe(
        '/tmp/detached\n',
      );
      await podman.ok('pause', 'main');
      expect(await state()).toBe('paused 0');
      await podman.ok('unpause', 'main');
      expect(await state()).toBe('running 0');
      expect(await podman.ok('top', 'main', 'pid', 'comm')).toMatch(/^PID +COMMAND\n1 +sh\n/);
      await podman.ok('update', '--memory', '48m', 'main');
      expect((await exec('main', 'cat', '/sys/fs/cgroup/memory/memory.limit_in_bytes')).stdout).toBe('50331648\n');
      await podman.ok('stop', 'main');
      expect(await state()).toBe('exited 3');
      expect(await podman.ok('logs', 'main')).toBe('up\ngot');
    });
  });

  it('kills and starts again', () =>
    podman.up('again', [], ['sleep', '1000'], async () => {
      await podman.ok('kill', 'again');
      expect(await podman.ok('wait', 'again')).toBe('137');
      await podman.ok('start', 'again');
      expect(await podman.ok('ps', '--format', '{{.Names}}')).toBe('again');
    }));

  it('makes pods', async () => {
    const infra = [
      '--infra-image',
      'box',
      '--infra-command',
      '/bin/sleep 1000',
      '--cgroup-parent',
      podman.place.world.cgroup,
    ];
    await podman.ok('pod', 'create', '--name', 'pod', '--network', 'none', '--share', 'net,ipc,uts,pid', ...infra);
    try {
      await podman.ok('run', '--detach', '--name', 'member', ...podman.options(['--pod', 'pod']), 'sleep', '1000');
      const links = 'for n in net ipc uts pid; do readlink /proc/self/ns/$n; done';
      expect(await podman.sh(['--pod', 'pod'], links)).toBe(await podman.ok('exec', 'member', 'sh', '-c', links));
    } finally {
      await podman.ok('pod', 'rm', '--force', '--time', '0', 'pod');
    }
  });
});
