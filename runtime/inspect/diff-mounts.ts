/** What changed in the mounts that a process sees, between two looks. */
import { type MountInfo, propagation } from '../kernel/mountinfo.js';
import { type Change, change } from './change.js';
import type { ProcessFacts } from './process.js';

interface Pair {
  readonly was: MountInfo;
  readonly mount: MountInfo;
}

/**
 * In one namespace a mount is known by its id. A new namespace holds copies with ids of their own: there it is known by
 * what is mounted where.
 */
export function diffMounts(before: ProcessFacts, after: ProcessFacts): Change[] {
  const sameNamespace = before.namespaces.mnt === after.namespaces.mnt;
  const key = (m: MountInfo) =>
    sameNamespace
      ? `${m.id} ${m.major}:${m.minor}`
      : [m.mountPoint, `${m.major}:${m.minor}`, m.root, m.fsType].join('\0');
  const old = new Map<string, MountInfo[]>();
  for (const mount of before.mounts) append(old, key(mount), mount);
  const changes: Change[] = [];
  const pairs: Pair[] = [];
  for (const mount of after.mounts) {
    const was = old.get(key(mount))?.shift();
    if (was) pairs.push({ was, mount });
    else changes.push(change('mount', 'added', mount.mountPoint, null, line(mount), `mounted ${line(mount)}`));
  }
  changes.push(...moved(pairs));
  for (const { was, mount } of pairs) {
    const [from, to] = [settings(was), settings(mount)];
    if (from === to) continue;
    const text = `mount at ${mount.mountPoint}: ${from} -> ${to}`;
    changes.push(change('mount', 'changed', mount.mountPoint, from, to, text));
  }
  for (const mount of [...old.values()].flat()) {
    changes.push(change('mount', 'removed', mount.mountPoint, line(mount), null, `no longer mounted: ${line(mount)}`));
  }
  return changes;
}

/** With another root directory every mount is seen at another place: that is one change, from one folder to another. */
function moved(pairs: readonly Pair[]): Change[] {
  const groups = new Map<string, Pair[]>();
  for (const pair of pairs) {
    if (pair.was.mountPoint === pair.mount.mountPoint) continue;
    const folders = withoutCommonEnd(pair.was.mountPoint, pair.mount.mountPoint).join('\0');
    append(groups, folders, pair);
  }
  return [...groups].map(([folders, group]) => {
    const [only] = group;
    if (group.length === 1 && only) {
      const [from, to] = [only.was.mountPoint, only.mount.mountPoint];
      return change('mount', 'changed', to, from, to, `mount of ${only.mount.fsType}: ${from} -> ${to}`);
    }
    const [from = '', to = ''] = folders.split('\0');
    return change('mount', 'changed', to, from, to, `${group.length} mounts, seen from another root: ${from} -> ${to}`);
  });
}

/** `/a/rootfs/proc/sys`, `/proc/sys` -> `/a/rootfs`, `/`. */
function withoutCommonEnd(from: string, to: string): [string, string] {
  const [a, b] = [from, to].map((path) => path.split('/').filter(Boolean)) as [string[], string[]];
  while (a.length > 0 && a.at(-1) === b.at(-1)) {
    a.pop();
    b.pop();
  }
  return [`/${a.join('/')}`, `/${b.join('/')}`];
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

function line(mount: MountInfo): string {
  const part = mount.root === '/' ? '' : ` (its ${mount.root})`;
  return `${mount.fsType} ${mount.source || 'none'}${part} at ${mount.mountPoint} [${settings(mount)}]`;
}

/** Without the numbers of peer groups: every copy of a namespace has others. */
function settings(mount: MountInfo): string {
  return [...mount.options, propagation(mount)].join(',');
}
