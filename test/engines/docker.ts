/** dockerd from Debian's package, with Tare as its default runtime, in a place of its own. */
import { join } from 'node:path';
import type { Ran } from '../harness/world.js';
import { Place, RUNTIME } from './engine.js';

/** The network namespace of `--network host` stays mounted, and BuildKit's cgroups stay; containerd writes its stacks to a file at SIGUSR1. */
const DOCKERS_OWN =
  /^(?:mount .*\/exec\/netns\/default \(nsfs\)|cgroup .*\/buildkit|file tmp\/containerd\.\d+\.stacks\.log)$/;

export class Docker {
  private constructor(
    readonly place: Place,
    readonly socket: string,
  ) {}

  static async open(name: string, options: readonly string[] = []): Promise<Docker> {
    const place = await Place.open(name, DOCKERS_OWN);
    const { folder, world } = place;
    const docker = new Docker(place, `unix://${join(folder, 'docker.sock')}`);
    const pidFile = join(folder, 'docker.pid');
    try {
      await place.daemon(
        [
          ...['dockerd', '--host', docker.socket, '--pidfile', pidFile],
          ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
          ...[
            '--storage-driver',
            'vfs',
            '--iptables=false',
            '--ip6tables=false',
            '--bridge=none',
            '--ip-forward=false',
          ],
          ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', world.cgroup],
          ...['--add-runtime', `tare=${RUNTIME}`, '--default-runtime', 'tare', ...options],
        ],
        // dockerd refuses to start while its own pid file names a process that runs.
        join(folder, 'dockerd.pid'),
        docker.command('version'),
      );
      await docker.ok('import', place.image, 'box');
      return docker;
    } catch (error) {
      await place.close();
      throw error;
    }
  }

  /** Debian's client, of the daemon's own version. */
  command(...args: readonly string[]): string[] {
    return ['/usr/bin/docker', '--host', this.socket, ...args];
  }

  call(args: readonly string[], stdin?: string): Promise<Ran> {
    return this.place.run(this.command(...args), { stdin });
  }

  ok(...args: readonly string[]): Promise<string> {
    return this.place.ok(this.command(...args));
  }

  /** `docker run --rm`. */
  run(options: readonly string[], command: readonly string[], stdin?: string): Promise<Ran> {
    return this.call(['run', '--rm', ...networked(options), 'box', ...command], stdin);
  }

  /** A shell's output in a new container. */
  async sh(options: readonly string[], script: string): Promise<string> {
    const { status, stdout, stderr } = await this.run(options, ['sh', '-c', script]);
    if (status !== 0) throw new Error(`status ${status}: ${stderr}${stdout}`);
    return stdout.trimEnd();
  }

  /** A container that is left running. Ended and removed when `use` is done. */
  async up<T>(name: string, options: readonly string[], command: readonly string[], use: () => Promise<T>): Promise<T> {
    await this.ok('run', '--detach', '--name', name, ...networked(options), 'box', ...command);
    try {
      return await use();
    } finally {
      await this.ok('rm', '--force', name);
    }
  }

  inspect(name: string, format: string): Promise<string> {
    return this.ok('inspect', '--format', format, name);
  }
}

/** There is no bridge here. */
function networked(options: readonly string[]): readonly string[] {
  return options.includes('--network') ? options : ['--network', 'none', ...options];
}
