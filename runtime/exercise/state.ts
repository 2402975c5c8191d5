/**
 * The kernel state that an exercise sets up, as lines that can be compared: who runs in which namespaces, what is mounted,
 * which cgroups there are. Numbers that differ from machine to machine (pids, inodes, mount ids) are left out or
 * counted from one.
 */
import { cgroups, type ProcSource } from '../inspect/index.js';
import {
  machineMounts,
  machineNamespace,
  mountsOf,
  NAMESPACE_TYPES,
  namespaceOf,
  nsPids,
  processes,
  text,
  unlessGone,
} from './probes.js';

/** Two machines in the same state give the same lines. */
export async function describeState(proc: ProcSource): Promise<string[]> {
  const lines = [`host name ${await text(proc, '/proc/sys/kernel/hostname')}`];
  for (const { mountPoint, root, fsType, options } of await machineMounts(proc)) {
    lines.push(`mount ${fsType} ${root} at ${mountPoint} ${options.join(',')}`);
  }
  const seen = new Map<number, string>();
  for (const type of NAMESPACE_TYPES) seen.set(await machineNamespace(proc, type), '');
  for (const { pid, comm, parent } of await processes(proc)) {
    const line = await unlessGone(async () => {
      const walls: string[] = [];
      for (const type of NAMESPACE_TYPES) walls.push(numbered(seen, type, await namespaceOf(proc, pid, type)));
      const own = walls.filter(Boolean).join(' ');
      const depth = (await nsPids(proc, pid)).length;
      const mounts = own ? ` with ${(await mountsOf(proc, pid)).length} mounts` : '';
      const places = (await cgroups(proc, pid)).map(({ path }) => path).join(' ');
      return `process ${comm}, child of ${(await text(proc, `/proc/${parent}/comm`)) ?? 'none'}, ${depth} pids, in ${own || 'the machine'}${mounts}, cgroup ${places}`;
    });
    if (line) lines.push(line);
  }
  return lines.sort();
}

/** `net#1`: the first network namespace that is not the machine's; nothing for the machine's own. */
function numbered(seen: Map<number, string>, type: string, inode: number): string {
  const known = seen.get(inode);
  if (known !== undefined) return known;
  const count = [...seen.values()].filter((name) => name.startsWith(`${type}#`)).length;
  seen.set(inode, `${type}#${count + 1}`);
  return `${type}#${count + 1}`;
}
