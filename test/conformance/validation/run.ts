/**
 * Runs validation programs against one runtime, each in a world of its own, whose processes and mounts end with it. What the programs
 * leave in the cgroup hierarchies of the machine is removed by name: they use fixed ones, so one run at a time.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Bench, type Runtime } from '../bench.js';
import { ok } from '../container.js';
import { verdictOf } from './tap.js';

export interface Result {
  readonly name: string;
  readonly as: 'pass' | 'fail' | 'skip';
  readonly why: string;
}

const CGROUPS = '/sys/fs/cgroup';
const NAMES = ['cgrouptest', 'testdir'];
/** What the programs call their containers. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LIMIT_MS = 60_000;

/** The programs of a suite, by name. */
export function programs(suite: string): string[] {
  return readdirSync(join(suite, 't')).sort();
}

export async function validate(suite: string, runtime: Runtime, name: string): Promise<Result> {
  const before = new Set(readdirSync(CGROUPS));
  const bench = await Bench.open(runtime, 'validation');
  const calls = join(bench.world.folder, 'calls');
  try {
    await ownNull(bench);
    const env = { RUNTIME: writeWrapper(bench, calls) };
    const ran = await bench
      .run([`./t/${name}`], { cwd: suite, env, timeoutMs: LIMIT_MS })
      .catch((error: Error) => ({ status: 124, stdout: '', stderr: error.message.slice(0, 200) }));
    return { name, ...verdictOf(ran) };
  } finally {
    const words = existsSync(calls) ? readFileSync(calls, 'utf8').split('\n') : [];
    await bench.close();
    await removeCgroups(new Set([...NAMES, ...words.filter((word) => UUID.test(word))]), before);
  }
}

/**
 * crun 1.8 refuses every ociVersion without "1.0" in it ("unknown version specified"), and so each bundle of these programs,
 * which say 1.2.0: it is told 1.0.2, so that the programs are about the rest.
 */
const AS_1_0 = `for word; do
  [ "$before" != --bundle ] || sed -i 's/"ociVersion": *"[^"]*"/"ociVersion":"1.0.2"/' "$word/config.json"
  before=$word
done
`;

/** The programs call it, and it writes down the ids that it is given. */
function writeWrapper(bench: Bench, calls: string): string {
  const path = join(bench.world.folder, 'runtime');
  const { runtime, root } = bench;
  const prepare = runtime.name === 'crun' ? AS_1_0 : '';
  writeFileSync(
    path,
    `#!/bin/sh\nprintf '%s\\n' "$@" >> '${calls}'\n${prepare}exec '${runtime.path}' --root '${root}' "$@"\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

/** A runtime may give the device that is the program's input to the user of the container: not the machine's. */
async function ownNull({ world }: Bench): Promise<void> {
  const folder = join(world.folder, 'tmp');
  const script = `mount -t tmpfs -o mode=755 tmpfs ${folder} && mknod -m 666 ${folder}/null c 1 3 &&
    mount --bind ${folder}/null /dev/null && umount -l ${folder}`;
  ok(await world.run(['sh', '-c', script]));
}

/** Cgroups of the programs' names or of their containers' ids, and folders that were made in place of hierarchies that there are not. */
async function removeCgroups(names: ReadonlySet<string>, before: ReadonlySet<string>): Promise<void> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const mine = foldersOf(CGROUPS)
    .filter((name) => !before.has(name) && !mounts.includes(` ${join(CGROUPS, name)} `))
    .map((name) => join(CGROUPS, name))
    .filter((path) => !existsSync(join(path, 'cgroup.procs')));
  const search = (folder: string, depth: number): void => {
    for (const name of foldersOf(folder)) {
      const path = join(folder, name);
      if (names.has(name)) mine.push(path);
      else if (depth > 0) search(path, depth - 1);
    }
  };
  search(CGROUPS, 4);
  for (const path of mine) await removeTree(path);
}

async function removeTree(path: string): Promise<void> {
  for (const name of foldersOf(path)) await removeTree(join(path, name));
  for (let tries = 0; existsSync(path); tries++) {
    try {
      rmdirSync(path);
    } catch (error) {
      // Somebody else has put a file there: it is theirs.
      if ((error as NodeJS.ErrnoException).code === 'ENOTEMPTY') return;
      if (tries === 40) throw error; // EBUSY until the last process has gone for good
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** None of what has gone meanwhile: the cgroups of everybody else come and go. */
function foldersOf(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
