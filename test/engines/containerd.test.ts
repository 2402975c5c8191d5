/** containerd's own shim (io.containerd.runc.v2) with Tare as its binary, as `ctr` asks for it and as `BinaryName` does. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ran } from '../harness/world.js';
import { onTerminal, Place, RUNTIME, until } from './engine.js';

/** Parts that want what this machine has not. */
const DISABLED = [
  'grpc.v1.cri',
  'internal.v1.opt',
  ...['aufs', 'btrfs', 'devmapper', 'zfs'].map((s) => `snapshotter.v1.${s}`),
];

class Containerd {
  #count = 0;

  private constructor(
    readonly place: Place,
    readonly socket: string,
    /** The runtime's `--root`. */
    readonly states: string,
  ) {}

  static async open(): Promise<Containerd> {
    const place = await Place.open('containerd');
    const { folder } = place;
    const socket = join(folder, 'containerd.sock');
    const config = place.file(
      'config.toml',
      `version = 2
      root = "${folder}/data"
      state = "${folder}/run"
      disabled_plugins = [${DISABLED.map((name) => `"io.containerd.${name}"`).join(', ')}]
      [grpc]
      address = "${socket}"`,
    );
    const containerd = new Containerd(place, socket, join(folder, 'states'));
    try {
      const daemon = ['containerd', '--config', config];
      await place.daemon(daemon, join(folder, 'containerd.pid'), ['ctr', '--address', socket, 'version']);
      return containerd;
    } catch (error) {
      await place.close();
      throw error;
    }
  }

  command(...args: readonly string[]): string[] {
    return ['ctr', '--address', this.socket, ...args];
  }

  call(...args: readonly string[]): Promise<Ran> {
    return this.place.run(this.command(...args));
  }

  ok(...args: readonly string[]): Promise<string> {
    return this.place.ok(this.command(...args));
  }

  /** `ctr run`. */
  running(options: readonly string[], id: string, command: readonly string[]): string[] {
    const runtime = ['--runc-binary', RUNTIME, '--runc-root', this.states, '--env', 'PATH=/bin'];
    return this.command(
      'run',
      ...runtime,
      '--cgroup',
      `${this.place.world.cgroup}/${id}`,
      ...options,
      '--rootfs',
      this.place.rootfs,
      id,
      ...command,
    );
  }

  run(options: readonly string[], ...command: readonly string[]): Promise<Ran> {
    return this.place.run(this.running(['--rm', ...options], `c${++this.#count}`, command));
  }
}

describe('containerd', { timeout: 180_000 }, () => {
  let containerd: Containerd;
  beforeAll(async () => {
    containerd = await Containerd.open();
  });
  afterAll(() => containerd?.place.close());

  it('runs a program, and gives its exit code', async () => {
    expect(await containerd.run([], 'sh', '-c', 'echo out; echo err >&2; exit 7')).toMatchObject({
      status: 7,
      stdout: 'out\n',
    });
    const { status, stderr } = await containerd.run([], '/no/such/program');
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/exec.*\/no\/such\/program.*no such file or directory/),
    ]);
  });

  it('gives it a terminal', async () => {
    const { status, stdout } = await containerd.place.run(
      onTerminal(containerd.running(['--rm', '--tty'], 'terminal', ['sh', '-c', 'tty; test -t 2; exit 3'])),
    );
    expect([status, stdout]).toEqual([3, expect.stringContaining('/dev/pts/0')]);
  });

  it('makes what the options ask for', async () => {
    const shared = join(containerd.place.folder, 'shared');
    mkdirSync(shared);
    writeFileSync(join(shared, 'file'), 'of the host\n');
    const options = [
      ...['--memory-limit', '67108864', '--cpus', '0.5', '--read-only', '--seccomp', '--env', 'A=b', '--cwd', '/tmp'],
      ...['--mount', `type=bind,src=${shared},dst=/shared,options=rbind:ro`, '--cap-add', 'CAP_SYS_TIME'],
    ];
    const script = `
      cat /shared/file; touch /shared/x 2>/dev/null || echo refused; touch /x 2>/dev/null || echo refused; echo $A $PWD
      grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'; grep -c . /proc/self/cgroup`;
    const { stdout, stderr } = await containerd.run(options, 'sh', '-c', script);
    const hierarchies = await containerd.place.ok(['grep', '-c', '.', '/proc/self/cgroup']);
    expect(stdout.trim().split('\n'), stderr).toEqual([
      'of the host',
      'refused',
      'refused',
      'b /tmp',
      'NoNewPrivs:1',
      'Seccomp:2',
      hierarchies,
    ]);
    const host = await containerd.run(['--net-host', '--privileged'], 'readlink', '/proc/self/ns/net');
    expect(host.stdout).toBe(`${await containerd.place.ok(['readlink', '/proc/self/ns/net'])}\n`);
  });

  it('maps users', async () => {
    // Not by ctr's --uidmap, with which it forgets the binary.
    const { place } = containerd;
    const config = JSON.parse(await containerd.ok('oci', 'spec'));
    config.process.env = ['PATH=/bin'];
    config.process.args = ['sh', '-c', 'tr -s " " < /proc/self/uid_map; id -u'];
    config.root = { path: place.rootfs };
    config.linux.namespaces.push({ type: 'user' });
    config.linux.cgroupsPath = `${place.world.cgroup}/users`;
    config.linux.uidMappings = config.linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 1000 }];
    const file = place.file('config.json', JSON.stringify(config));
    const runtime = ['--runc-binary', RUNTIME, '--runc-root', containerd.states];
    expect(await containerd.ok('run', '--rm', ...runtime, '--config', file, 'users')).toBe(' 0 100000 1000\n0');
  });

  it('executes, pauses, shows and kills', async () => {
    const { place } = containerd;
    const task = (...args: string[]) => containerd.ok('task', ...args);
    const status = async () =>
      (await task('ls'))
        .split('\n')
        .find((line) => line.startsWith('task'))
        ?.split(/\s+/)[2] ?? '';
    await place.ok(containerd.running(['--detach'], 'task', ['sleep', '1000']));
    try {
      expect(await status()).toBe('RUNNING');
      expect(await task('exec', '--exec-id', 'one', '--cwd', '/tmp', 'task', 'sh', '-c', 'pwd; cat /proc/1/comm')).toBe(
        '/tmp\nsleep',
      );
      expect((await containerd.call('task', 'exec', '--exec-id', 'two', 'task', 'sh', '-c', 'exit 5')).status).toBe(5);
      const terminal = await place.run(
        onTerminal(containerd.command('task', 'exec', '--tty', '--exec-id', 'three', 'task', 'tty')),
      );
      expect(terminal.stdout).toContain('/dev/pts/');
      await task('pause', 'task');
      expect(await status()).toBe('PAUSED');
      await task('resume', 'task');
      expect(await status()).toBe('RUNNING');
      expect((await task('ps', 'task')).split('\n')).toHaveLength(2);
      await task('kill', '--signal', 'SIGKILL', 'task');
      expect(await until('STOPPED', status)).toBe('STOPPED');
      expect((await containerd.call('task', 'rm', 'task')).stderr).toContain('exit code 137');
    } finally {
      await containerd.call('task', 'rm', '--force', 'task');
      await containerd.ok('container', 'rm', 'task');
    }
  });
});
