/** What a world holds at one moment: what is there at its end, and was not at its beginning, is a leak. */
import { type Dirent, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Below which all hierarchies are mounted. */
export const CGROUPS = '/sys/fs/cgroup';

/** What a world holds at one moment; two of them are compared. */
export interface Contents {
  readonly mounts: readonly string[];
  readonly processes: readonly string[];
  readonly cgroups: readonly string[];
  readonly links: readonly string[];
  readonly files: readonly string[];
}

/** @param world process 1 of it, its folder, and its cgroup in each hierarchy */
export function contentsOf(world: {
  readonly pid: number;
  readonly folder: string;
  readonly cgroups: readonly string[];
}): Contents {
  const { pid, folder, cgroups } = world;
  return {
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => mountOf(line))
      .sort(),
    processes: processesIn(pid),
    cgroups: cgroups.flatMap((top) => foldersBelow(top).map((path) => relative(CGROUPS, path))),
    links: readFileSync(`/proc/${pid}/net/dev`, 'utf8')
      .split('\n')
      .slice(2)
      .filter(Boolean)
      .map((line) => (line.split(':')[0] as string).trim()),
    files: ['tmp', 'state', 'root'].flatMap((part) =>
      filesBelow(join(folder, part)).map((path) => relative(folder, path)),
    ),
  };
}

/** What is there afterwards, and was not before: a line each. */
export function difference(before: Contents, after: Contents): string[] {
  return (Object.keys(after) as (keyof Contents)[]).flatMap((kind) => {
    const known = [...before[kind]];
    return after[kind]
      .filter((item) => {
        const at = known.indexOf(item);
        if (at >= 0) known.splice(at, 1);
        return at < 0;
      })
      .map((item) => (kind === 'mounts' || kind === 'processes' ? item : `${kind.slice(0, -1)} ${item}`));
  });
}

function mountOf(line: string): string {
  const [left, right] = line.split(' - ') as [string, string];
  return `mount ${left.split(' ')[4]} (${right.split(' ')[0]})`;
}

/** Processes of the world's pid namespace and of those below it, without process 1. */
function processesIn(keeper: number): string[] {
  const inside = readlinkSync(`/proc/${keeper}/ns/pid`);
  const found: string[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === keeper) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const chain = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
      if (chain.length < 2) continue;
      // The keeper reaps nobody: an orphan that has ended stays as its zombie, and is nobody's leak.
      if (/^State:\s+Z/m.test(status) && new RegExp(`^PPid:\\s+${keeper}$`, 'm').test(status)) continue;
      if (readlinkSync(`/proc/${name}/ns/pid`) === inside || descendsFrom(Number(name), keeper)) {
        found.push(`process ${name} ${readFileSync(`/proc/${name}/comm`, 'utf8').trim()}`);
      }
    } catch (error) {
      if (!['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error; // it has just ended
    }
  }
  return found;
}

function descendsFrom(pid: number, ancestor: number): boolean {
  for (let at = pid; at > 1; ) {
    if (at === ancestor) return true;
    at = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${at}/status`, 'utf8'))?.[1] ?? 0);
  }
  return false;
}

/** Each before those below it. */
export function foldersBelow(path: string): string[] {
  return entriesOf(path)
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(path, entry.name), ...foldersBelow(join(path, entry.name))]);
}

function filesBelow(path: string): string[] {
  return entriesOf(path).flatMap((entry) => {
    const full = join(path, entry.name);
    return entry.isDirectory() ? [full, ...filesBelow(full)] : [full];
  });
}

/** None of a folder that has gone, perhaps just now: as the state of a container that has ended does. */
function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
