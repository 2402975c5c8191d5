/**
 * Where an engine runs that is not ours: a world of its own (mounts, processes, network, cgroups, see harness/world.ts), with an
 * empty /run, and an image made of busybox, without any network. What an engine needs of a machine like this one stands here: no
 * iptables, cgroups without systemd, layers as plain copies. An engine that leaves something behind fails its tests.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/kernel/places.js';
import { makeRootfs } from '../harness/rootfs.js';
import { makeWorld, type Ran, type RunOptions, type World } from '../harness/world.js';
import type { Contents } from '../harness/world-contents.js';

/** The runtime under test: $RUNTIME, or the tare-oci of this tree. */
export const RUNTIME = process.env.RUNTIME || join(packageRoot(), 'dist/bin/tare-oci');

/** Process 1 of the world reaps: shims and monitors leave their children to it. */
const REAPER = ['bash', '-c', 'echo ready; cat; true'];

/** How long an engine may take to begin, or to end. */
const PATIENCE_MS = 60_000;

interface Daemon {
  /** Holds its pid, as the world counts. */
  readonly pidFile: string;
  readonly over: Promise<void>;
  readonly output: () => string;
}

export class Place {
  readonly #daemons: Daemon[] = [];

  private constructor(
    readonly world: World,
    /** Where everything of the engine is. Others may enter it, as the users of a user namespace must. */
    readonly folder: string,
    readonly rootfs: string,
    private readonly before: Contents,
    private readonly engines: RegExp | undefined,
  ) {}

  /** @param engines what an engine leaves behind itself, whatever its runtime is */
  static async open(name: string, engines?: RegExp): Promise<Place> {
    const world = await makeWorld(name, { keeper: REAPER });
    try {
      const folder = join(world.folder, 'engine');
      mkdirSync(folder);
      chmodSync(world.folder, 0o755);
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\n');
      // Engines keep locks and sockets below /run, whatever folder they are told.
      const setUp = `
        set -e
        mount -t tmpfs tmpfs /run; mkdir /run/lock; ip link set lo up; tar -C "$1" -cf "$2" .
        for file in subuid subgid; do echo daemon:100000:65536 > /run/$file; mount --bind /run/$file /etc/$file; done`;
      await succeed(world, ['bash', '-c', setUp, 'bash', rootfs, join(folder, 'image.tar')]);
      return new Place(world, folder, rootfs, world.contents(), engines);
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** The image, as a tar archive of its root file system. */
  get image(): string {
    return join(this.folder, 'image.tar');
  }

  /** Writes a file of the engine's own. Returns its path. */
  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Ran> {
    return this.world.run(argv, options);
  }

  /** As `run`, for what must not fail. Returns what it wrote, without the last newline. */
  async ok(argv: readonly string[], options?: RunOptions): Promise<string> {
    return succeed(this.world, argv, options);
  }

  /** Starts a daemon, and waits until `ready` succeeds. It writes its pid to `pidFile`, or `pidFile` is written for it. */
  async daemon(argv: readonly string[], pidFile: string, ready: readonly string[]): Promise<void> {
    const script = 'echo $$ > "$1"; shift; exec "$@" 2>&1';
    const child = this.world.start(['sh', '-c', script, 'sh', pidFile, ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4000);
    });
    let ended = false;
    const over = new Promise<void>((resolve) => {
      child.on('exit', () => {
        ended = true;
        resolve();
      });
    });
    this.#daemons.push({ pidFile, over, output: () => output });
    for (const deadline = Date.now() + PATIENCE_MS; ; await pause(100)) {
      if ((await this.run(ready)).status === 0) return;
      if (ended || Date.now() > deadline) throw new Error(`${argv[0]} does not answer:\n${output}`);
    }
  }

  /** Ends the daemons, the last first, and the world. @throws Error when something is left behind */
  async close(): Promise<void> {
    try {
      for (const daemon of this.#daemons.reverse()) await this.#stop(daemon);
      const left = await this.world.leaks(this.before, { counts: (thing) => !this.engines?.test(thing) });
      if (left.length > 0) throw new Error(`left behind:\n  ${left.join('\n  ')}`);
    } finally {
      await this.world.close();
    }
  }

  async #stop({ pidFile, over, output }: Daemon): Promise<void> {
    const pid = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim() : undefined;
    if (pid) await this.run(['kill', '-TERM', pid]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the daemon does not end:\n${output()}`)), PATIENCE_MS);
    });
    await Promise.race([over, late]).finally(() => clearTimeout(timer));
  }
}

/** The command on a terminal of its own: util-linux's script, whose exit code is the command's. */
export function onTerminal(argv: readonly string[]): string[] {
  return ['script', '-qec', argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' '), '/dev/null'];
}

/** Asks again until the answer is this, and returns the last answer otherwise: engines tell some things a little late. */
export async function until(wanted: string, ask: () => Promise<string>): Promise<string> {
  let answer = '';
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(100)) {
    answer = await ask();
    if (answer === wanted) break;
  }
  return answer;
}

/**
 * A hierarchy of cgroups that is mounted nowhere in the place (another test has one for a while) is more than containerd's shim can
 * understand: it then counts nothing, whatever the runtime is. Resolves when there is none.
 */
export async function untilCgroupsCanBeCounted(): Promise<void> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const isForeign = (line: string) => {
    const name = /^\d+:(name=[^:]+):/.exec(line)?.[1];
    return name !== undefined && !new RegExp(`[ ,]${name}(,|$)`, 'm').test(mounts);
  };
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(200)) {
    if (!readFileSync('/proc/self/cgroup', 'utf8').split('\n').some(isForeign)) return;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function succeed(world: World, argv: readonly string[], options?: RunOptions): Promise<string> {
  const { status, stdout, stderr } = await world.run(argv, options);
  if (status !== 0) throw new Error(`${argv.join(' ')}: status ${status}: ${stderr}${stdout}`);
  return stdout.trimEnd();
}
