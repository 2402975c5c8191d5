/**
 * Facts about a process as a page of text: sections of rows, for `tare inspect` and for the lab. Names of programs and mount
 * points are the process's own choice, so all of it goes through `visible`.
 */
import { CAPABILITIES } from '../kernel/capabilities.js';
import { type MountInfo, propagation } from '../kernel/mountinfo.js';
import type { CgroupFacts, Limit } from './cgroups.js';
import { containment, type Grade } from './containment.js';
import type { IdMapping, ResourceLimit } from './details.js';
import { NAMESPACE_TYPES, type NamespaceInodes } from './namespaces.js';
import type { ProcessFacts } from './process.js';
import { visible } from './visible.js';

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface Row {
  readonly name: string;
  readonly value: string;
  readonly grade?: Grade;
}

/** The page. With `against` the namespaces are compared with that process, too. */
export function describeFacts(facts: ProcessFacts, against?: ProcessFacts): Section[] {
  const { verdict, summary, findings } = containment(facts);
  const zombie = verdict === 'ended';
  const sections: Section[] = [
    {
      title: `How contained: ${summary}`,
      rows: zombie
        ? [{ name: 'zombie', value: 'it has left its namespaces and its files' }]
        : findings.map(({ area, text, grade }) => ({ name: area, value: text, grade })),
    },
    { title: 'Process', rows: identity(facts) },
    ...(zombie ? [] : separation(facts, against)),
  ];
  return sections
    .filter((section) => section.rows.length > 0)
    .map(({ title, rows }) => ({
      title: visible(title),
      rows: rows.map((row) => ({ ...row, name: visible(row.name), value: visible(row.value) })),
    }));
}

/** What separates it from the machine, and what does not. */
function separation(facts: ProcessFacts, against?: ProcessFacts): Section[] {
  return [
    { title: `Namespaces (compared with ${facts.machine.from})`, rows: namespaces(facts, against) },
    { title: 'Capabilities', rows: capabilities(facts) },
    { title: 'Rights', rows: rights(facts) },
    { title: 'Cgroups', rows: facts.cgroups.map(cgroup) },
    { title: 'Limits of the cgroups', rows: limits(facts) },
    { title: 'Resource limits (soft, hard)', rows: Object.entries(facts.resourceLimits).map(resource) },
    { title: `Mounts (${facts.mounts.length})`, rows: facts.mounts.map(mount) },
    { title: 'Not readable', rows: facts.unreadable.map((name) => ({ name, value: '' })) },
  ];
}

function identity(facts: ProcessFacts): Row[] {
  const { uids, gids } = facts;
  const ids = ({ real, effective, saved, filesystem }: typeof uids) =>
    new Set([real, effective, saved, filesystem]).size === 1
      ? `${real}`
      : `real ${real}, effective ${effective}, saved ${saved}, filesystem ${filesystem}`;
  return rows(
    ['program', facts.exe],
    ['command', facts.cmdline.length ? clip(facts.cmdline.join(' '), 400) : `[${facts.comm}]`],
    ['state', `${facts.state}, ${facts.threads} thread${facts.threads === 1 ? '' : 's'}`],
    ['parent', `${facts.parent}`],
    ['pid in each namespace', facts.nsPids.join(' > ')],
    ['started', `${facts.startTime} clock ticks after boot`],
    ['uid', ids(uids)],
    ['gid', ids(gids)],
    ['groups', facts.groups.join(' ')],
    ['uid map', idMap(facts.uidMap)],
    ['gid map', idMap(facts.gidMap)],
    ['root directory', facts.root?.path],
    ['working directory', facts.cwd?.path],
    ['open descriptors', facts.descriptors === null ? null : `${facts.descriptors}`],
  );
}

function namespaces({ namespaces: own, machine }: ProcessFacts, against?: ProcessFacts): Row[] {
  const compare = (type: keyof NamespaceInodes, other: NamespaceInodes, same: string, different: string) =>
    other[type] === undefined ? '' : other[type] === own[type] ? same : different;
  return NAMESPACE_TYPES.filter((type) => own[type] !== undefined).map((type) => {
    const words = [
      compare(type, machine.namespaces, 'shared', 'its own'),
      against ? compare(type, against.namespaces, `as ${against.pid}`, `not as ${against.pid}`) : '',
    ];
    return { name: type, value: [`${own[type]}`, ...words.filter(Boolean)].join('  ') };
  });
}

function capabilities({ capabilities: sets }: ProcessFacts): Row[] {
  const list = (names: readonly string[]) => {
    const missing = CAPABILITIES.filter((name) => !names.includes(name));
    if (missing.length === 0) return `all ${names.length}`;
    if (missing.length < 6) return `all but ${missing.join(' ')}`;
    return names.join(' ') || 'none';
  };
  return [
    { name: 'effective', value: list(sets.effective) },
    { name: 'permitted', value: list(sets.permitted) },
    { name: 'inheritable', value: list(sets.inheritable) },
    { name: 'bounding', value: list(sets.bounding) },
    { name: 'ambient', value: list(sets.ambient) },
  ];
}

function rights({ seccomp, noNewPrivs, label, oom }: ProcessFacts): Row[] {
  return rows(
    ['seccomp', seccomp.mode === 'filter' ? `filter, ${seccomp.filters} attached` : seccomp.mode],
    ['no_new_privs', noNewPrivs ? 'on' : 'off'],
    ['security label', label ?? 'none'],
    ['oom score', oom && `${oom.score}, adjusted by ${oom.adjust}`],
  );
}

function cgroup({ version, controllers, path, directory }: CgroupFacts): Row {
  const name = version === 2 ? 'v2' : `v1 ${controllers.join(',')}`;
  return { name, value: `${path}${directory === null ? '  (not mounted here)' : ''}` };
}

function limits({ limits: all }: ProcessFacts): Row[] {
  const show = (limit: Limit | undefined, unit: (value: number) => string) => {
    if (!limit) return null;
    if (limit.effective === null) return 'unlimited';
    return `${unit(limit.effective)}${limit.own === limit.effective ? '' : `  (set at ${limit.from})`}`;
  };
  return rows(
    ['memory', show(all.memory, bytes)],
    ['memory in use', all.memoryUsed === undefined ? null : bytes(all.memoryUsed)],
    ['swap', show(all.swap, bytes)],
    ['processes', show(all.pids, String)],
    ['processes now', all.pidsUsed === undefined ? null : `${all.pidsUsed}`],
    ['CPUs', show(all.cpu, String)],
    ['cpu weight', all.cpuWeight === undefined ? null : `${all.cpuWeight}`],
  );
}

function resource([name, { soft, hard }]: [string, ResourceLimit]): Row {
  const show = (value: number | null) => (value === null ? 'unlimited' : `${value}`);
  return { name: name.replace('RLIMIT_', '').toLowerCase(), value: `${show(soft)}, ${show(hard)}` };
}

function mount(m: MountInfo): Row {
  const part = m.root === '/' ? '' : ` (its ${m.root})`;
  return { name: m.mountPoint, value: `${m.fsType} ${m.source}${part}  ${[...m.options, propagation(m)].join(',')}` };
}

function idMap(map: readonly IdMapping[]): string {
  const one = ({ inside, outside, length }: IdMapping) =>
    length === 1 ? `${inside} is ${outside}` : `${inside}-${inside + length - 1} is ${outside}-${outside + length - 1}`;
  return map.map(one).join(', ') || 'none written yet';
}

function bytes(value: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (value >= size) return `${Number((value / size).toFixed(1))} ${unit}`;
  }
  return `${value} bytes`;
}

function clip(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)} …` : text;
}

/** Rows for what is known. */
function rows(...pairs: readonly (readonly [name: string, value: string | null | undefined])[]): Row[] {
  return pairs.flatMap(([name, value]) => (value ? [{ name, value }] : []));
}
