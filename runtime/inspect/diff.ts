/**
 * What changed in the kernel's view of a process between two looks at it: `tare step` shows this after each step. The same
 * list serves programs (area, name, before, after) and people (text).
 */

import type { CgroupLimits } from './cgroups.js';
import { type Change, change, value } from './change.js';
import type { IdMapping } from './details.js';
import { diffMounts } from './diff-mounts.js';
import { CHILD_NAMESPACE_TYPES, NAMESPACE_TYPES, type NamespaceLink } from './namespaces.js';
import type { ProcessFacts } from './process.js';

/** The changes, in the order of {@link ChangeArea}; empty when the two say the same. They need not be the same process. */
export function diffFacts(before: ProcessFacts, after: ProcessFacts): Change[] {
  // A zombie has left all it had: that it ended is the one thing to say.
  if (after.state === 'Z') return value('process', 'state', state(before), state(after));
  const seccomp = (facts: ProcessFacts) =>
    facts.seccomp.mode === 'filter' ? `filter (${facts.seccomp.filters})` : facts.seccomp.mode;
  return [
    ...value('process', 'state', state(before), state(after)),
    ...value('process', 'parent', before.parent, after.parent),
    ...value('process', 'program', before.exe, after.exe),
    ...value('process', 'command', before.cmdline.join(' '), after.cmdline.join(' ')),
    ...value('process', 'session', before.session, after.session),
    ...value('process', 'pids', before.nsPids.join(' > '), after.nsPids.join(' > ')),
    ...namespaces(before, after),
    ...diffMounts(before, after),
    ...value('root', 'root directory', place(before.root), place(after.root)),
    ...value('root', 'working directory', place(before.cwd), place(after.cwd)),
    ...cgroups(before, after),
    ...limits(before.limits, after.limits),
    ...resources(before, after),
    ...capabilities(before, after),
    ...value('identity', 'uids', ids(before.uids), ids(after.uids)),
    ...value('identity', 'gids', ids(before.gids), ids(after.gids)),
    ...value('identity', 'groups', before.groups.join(' '), after.groups.join(' ')),
    ...value('id-map', 'uid map', idMap(before.uidMap), idMap(after.uidMap)),
    ...value('id-map', 'gid map', idMap(before.gidMap), idMap(after.gidMap)),
    ...value('seccomp', 'seccomp', seccomp(before), seccomp(after)),
    ...value('no-new-privs', 'no_new_privs', before.noNewPrivs ? 'on' : 'off', after.noNewPrivs ? 'on' : 'off'),
    ...value('label', 'security label', before.label, after.label),
    ...value('descriptor', 'open descriptors', before.descriptors, after.descriptors),
  ];
}

/** Running, sleeping and waiting differ at every look and mean nothing; stopped and zombie do. */
function state(facts: ProcessFacts): string {
  const names: Record<string, string> = { T: 'stopped', t: 'traced', Z: 'zombie', X: 'dead' };
  return names[facts.state] ?? 'alive';
}

function namespaces(before: ProcessFacts, after: ProcessFacts): Change[] {
  const changes: Change[] = [];
  const links: NamespaceLink[] = [...NAMESPACE_TYPES, ...CHILD_NAMESPACE_TYPES];
  for (const type of links) {
    const [from, to] = [before.namespaces[type], after.namespaces[type]];
    if (from === to) continue;
    const name = type.endsWith('_for_children')
      ? `${type.split('_')[0]} namespace of its children`
      : `${type} namespace`;
    const shared = to !== undefined && to === after.machine.namespaces[type] ? ' (the machine’s)' : '';
    changes.push(
      ...value('namespace', name, from ?? null, to ?? null).map((c) => ({ ...c, name: type, text: c.text + shared })),
    );
  }
  return changes;
}

function place(at: ProcessFacts['root']): string | null {
  return at && `${at.path} (inode ${at.ino} of device ${at.dev})`;
}

function cgroups(before: ProcessFacts, after: ProcessFacts): Change[] {
  const name = (c: ProcessFacts['cgroups'][number]) =>
    c.version === 2 ? 'cgroup v2' : `cgroup ${c.controllers.join(',')}`;
  const [from, to] = [before, after].map((facts) => new Map(facts.cgroups.map((c) => [name(c), c.path])));
  const all = new Set([...(from?.keys() ?? []), ...(to?.keys() ?? [])]);
  return [...all].flatMap((key) => value('cgroup', key, from?.get(key) ?? null, to?.get(key) ?? null));
}

function limits(before: CgroupLimits, after: CgroupLimits): Change[] {
  const show = (facts: CgroupLimits, name: 'memory' | 'swap' | 'pids' | 'cpu') =>
    facts[name] === undefined ? null : (facts[name].effective ?? 'unlimited');
  return [
    ...value('limit', 'memory limit', show(before, 'memory'), show(after, 'memory')),
    ...value('limit', 'swap limit', show(before, 'swap'), show(after, 'swap')),
    ...value('limit', 'process limit', show(before, 'pids'), show(after, 'pids')),
    ...value('limit', 'cpu limit', show(before, 'cpu'), show(after, 'cpu')),
    ...value('limit', 'cpu weight', before.cpuWeight ?? null, after.cpuWeight ?? null),
  ];
}

function resources(before: ProcessFacts, after: ProcessFacts): Change[] {
  const show = (facts: ProcessFacts, name: string) => {
    const limit = facts.resourceLimits[name];
    return limit ? `${limit.soft ?? 'unlimited'}/${limit.hard ?? 'unlimited'}` : null;
  };
  const names = new Set([...Object.keys(before.resourceLimits), ...Object.keys(after.resourceLimits)]);
  return [
    ...[...names].flatMap((name) => value('limit', name, show(before, name), show(after, name))),
    ...value('limit', 'oom_score_adj', before.oom?.adjust ?? null, after.oom?.adjust ?? null),
  ];
}

function capabilities(before: ProcessFacts, after: ProcessFacts): Change[] {
  const sets = ['inheritable', 'permitted', 'effective', 'bounding', 'ambient'] as const;
  return sets.flatMap((set) => {
    const lost = before.capabilities[set].filter((name) => !after.capabilities[set].includes(name));
    const won = after.capabilities[set].filter((name) => !before.capabilities[set].includes(name));
    const [from, to] = [before.capabilities[set].join(' '), after.capabilities[set].join(' ')];
    // Whichever list is shorter: what went, or what is left.
    const left = after.capabilities[set];
    const loss = left.length < lost.length ? (left.length === 0 ? 'all' : `all but ${left.join(' ')}`) : lost.join(' ');
    return [
      ...(lost.length ? [change('capability', 'removed', set, from, to, `${set} capabilities lost: ${loss}`)] : []),
      ...(won.length
        ? [change('capability', 'added', set, from, to, `${set} capabilities won: ${won.join(' ')}`)]
        : []),
    ];
  });
}

function ids(facts: ProcessFacts['uids']): string {
  const { real, effective, saved, filesystem } = facts;
  const same = real === effective && real === saved && real === filesystem;
  return same ? String(real) : `real ${real}, effective ${effective}, saved ${saved}, filesystem ${filesystem}`;
}

function idMap(map: readonly IdMapping[]): string {
  return map.map((m) => `${m.inside} is ${m.outside} (${m.length} ids)`).join(', ');
}
