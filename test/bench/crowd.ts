/**
 * What a create costs among a thousand containers, as a multiple of what it costs among none: Tare's from a warm process, runc's, and
 * that of a bare C program (bare.c) that asks the kernel for the same, which is the least that there is to pay. Each phase runs them side
 * by side; with none is measured before and after, in case the machine gets slower or faster, and of each phase the rounds count that
 * the machine disturbed least, as the phases cannot take turns.
 *
 * What grows is the kernel's: pivot_root(2) looks at every thread of the machine (`chroot_fs_refs`, half a microsecond each; a container of
 * Tare's has two), a new sysfs at every other (`sget_fc`, as each network namespace has its own), and joining a keyring by name at the name
 * of each (`find_keyring_by_name`). Nothing else gives a container its root, and lets createContainer hooks see the host's until then.
 * Where pivot_root, sysfs and the keyring cost 2 ms more, the 1.2x holds if a create takes 10.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Container, type Prepared, prepare } from '../../runtime/container/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { type CgroupPlace, removeCgroups } from '../../runtime/kernel/cgroup/index.js';
import { buildBare, spawned } from './container.js';
import { type Candidate, leastDecile, sideBySide, verdict } from './measure.js';
import { ociBundle, quietly, withArgs } from './oci.js';

const MANY = 1000;
const ROUNDS = 60;
const PARTS_ROUNDS = 30;
/**
 * Milliseconds between a delete and the next create. In the background the kernel takes a memory cgroup that was removed off the lists of
 * every file system (`memcg_reparent_list_lrus`: 3 ms among 1,000 containers), with the lock held that making a cgroup needs: a cost
 * of the delete. The last line of the output is without the pause.
 */
const SETTLE = 30;

/** In milliseconds; parts in microseconds. Each the least decile of its rounds. */
interface Phase {
  readonly creates: ReadonlyMap<string, number>;
  readonly inARow: number;
  readonly parts: ReadonlyMap<string, number>;
}

interface Place {
  readonly folder: string;
  readonly bundle: Prepared['bundle'];
  readonly bare: string;
}

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-crowd-'));
  const containers: Container[] = [];
  try {
    const place: Place = { folder, bundle: ociBundle(folder), bare: buildBare(folder) };
    const stateRoot = join(folder, 'state');
    mkdirSync(stateRoot);
    const before = await phase(place, 'before');
    const sleeping = withArgs(place.bundle, ['/bin/sleep', '1000']);
    for (let i = 0; i < MANY; i++) {
      const container = await Container.run({ id: `many-${process.pid}-${i}`, bundle: sleeping, stateRoot });
      container.detach();
      containers.push(container);
    }
    const among = await phase(place, 'among');
    await removeAll(containers);
    return report(before, among, await phase(place, 'after'));
  } finally {
    await removeAll(containers);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function removeAll(containers: Container[]): Promise<void> {
  for (let next = containers.pop(); next; next = containers.pop()) await next.delete({ force: true });
}

async function phase({ folder, bundle, bare }: Place, name: string): Promise<Phase> {
  const places = prepare({ id: `bare-${process.pid}`, bundle }).cgroup?.places ?? [];
  const program = native.sealedMemfd('bare', readFileSync(bare));
  try {
    const candidates = [
      tareCreates(folder, bundle, name),
      runcCreates(folder, name),
      bareRuns(program, bundle, places),
    ];
    const measured = await sideBySide(candidates, ROUNDS);
    return {
      creates: new Map(measured.map((candidate) => [candidate.name, leastDecile(candidate.times)])),
      inARow: await inARow(folder, bundle, name),
      parts: await partsOf(bare, bundle, places),
    };
  } finally {
    native.close(program);
  }
}

function tareCreates(folder: string, bundle: Prepared['bundle'], phase: string): Candidate {
  let made: Container | undefined;
  let count = 0;
  return {
    name: 'Tare, from a warm process',
    run: async () => {
      const id = `${phase}-${process.pid}-${count++}`;
      made = await Container.create({ id, bundle, stateRoot: join(folder, 'state') });
    },
    clean: async () => {
      await made?.delete({ force: true });
      await sleep(SETTLE);
    },
  };
}

function runcCreates(folder: string, phase: string): Candidate {
  const root = ['--root', join(folder, 'runc')];
  const id = `${phase}-${process.pid}-runc`;
  return {
    name: 'runc, in a process of its own',
    run: () => quietly('runc', [...root, 'create', '--bundle', folder, id]),
    clean: async () => {
      await quietly('runc', [...root, 'delete', '--force', id]);
      await sleep(SETTLE);
    },
  };
}

/** To the end of /bin/true: it has no gate to wait at. */
function bareRuns(program: number, { rootfs }: Prepared['bundle'], places: readonly CgroupPlace[]): Candidate {
  const directories = places.map(({ directory }) => directory);
  return {
    ...spawned('the bare C program', program, ['bare', rootfs, ...directories, '--', '/bin/true']),
    clean: async () => {
      await removeCgroups(places);
      await sleep(SETTLE);
    },
  };
}

/** A create and its delete, one after the other without a pause. */
async function inARow(folder: string, bundle: Prepared['bundle'], phase: string): Promise<number> {
  const stateRoot = join(folder, 'state');
  let count = 0;
  const run = async () => {
    const container = await Container.create({ id: `${phase}-row-${process.pid}-${count++}`, bundle, stateRoot });
    await container.delete({ force: true });
  };
  const [measured] = await sideBySide([{ name: 'in a row', run }], ROUNDS);
  return leastDecile(measured?.times ?? []);
}

/** What the parts of the bare C program take, as it says itself. */
async function partsOf(
  bare: string,
  { rootfs }: Prepared['bundle'],
  places: readonly CgroupPlace[],
): Promise<Map<string, number>> {
  const times = new Map<string, number[]>();
  for (let round = 0; round < PARTS_ROUNDS; round++) {
    const directories = places.map(({ directory }) => directory);
    const said = execFileSync(bare, ['-t', rootfs, ...directories, '--', '/bin/true'], { encoding: 'utf8' });
    await removeCgroups(places);
    await sleep(SETTLE);
    for (const [, name = '', time] of said.matchAll(/^(\S+) ([\d.]+)$/gm))
      times.set(name, [...(times.get(name) ?? []), Number(time)]);
  }
  return new Map([...times].map(([name, values]) => [name, leastDecile(values)]));
}

function report(before: Phase, among: Phase, after: Phase): string {
  const names = [...among.creates.keys()];
  const grown = names.map((name) => growth(before.creates.get(name), among.creates.get(name), after.creates.get(name)));
  const [tare, , bare] = grown as [Growth, Growth, Growth];
  const width = Math.max(...names.map((name) => name.length));
  const row = growth(before.inARow, among.inARow, after.inARow);
  return [
    `  a create among no other container, among ${MANY}, and among none again (the least tenth of ${ROUNDS} rounds):`,
    ...names.map((name, i) => `  ${name.padEnd(width)}  ${grown[i]?.text}`),
    ...(grown.every(isCalm)
      ? [
          verdict(`a create of Tare among ${MANY} containers, of one among none`, tare.ratio, 1.2, 'x'),
          verdict(
            'the same without what the bare C program takes longer',
            1 + (tare.more - bare.more) / tare.none,
            1.2,
            'x',
          ),
        ]
      : ['  UNKNOWN  whether the goal of 1.2x holds: the machine was too busy, as the times among none differ']),
    `  the parts of the bare C program that take longer: ${longer(before, among, after)}`,
    `  create and delete of Tare, the next at once, so that it waits for what the kernel does after a delete:`,
    `  ${row.text}`,
  ].join('\n');
}

/** Before and after differ by less than what is to be measured. Among many nothing gets faster. */
function isCalm({ drift, ratio }: Growth): boolean {
  return drift < 0.15 && ratio > 0.95;
}

interface Growth {
  /** Milliseconds among none, and how many more among many. */
  readonly none: number;
  readonly more: number;
  readonly ratio: number;
  /** How much before and after differ, as a part of what they are. */
  readonly drift: number;
  readonly text: string;
}

function growth(before = Number.NaN, among = Number.NaN, after = Number.NaN): Growth {
  const none = (before + after) / 2;
  const ratio = among / none;
  const [a, b, c] = [before, among, after].map((time) => time.toFixed(2).padStart(6));
  return {
    none,
    more: among - none,
    ratio,
    drift: Math.abs(after - before) / none,
    text: `${a} ms, ${b} ms, ${c} ms: among many ${ratio.toFixed(2)}x of among none`,
  };
}

/** The longest first; what has grown by less than 30 microseconds is left out. */
function longer(before: Phase, among: Phase, after: Phase): string {
  const grown = [...among.parts].map(([name, many]) => {
    const none = ((before.parts.get(name) ?? 0) + (after.parts.get(name) ?? 0)) / 2;
    return { name, none, many };
  });
  return grown
    .filter(({ none, many }) => many - none >= 30)
    .sort((a, b) => b.many - b.none - (a.many - a.none))
    .map(({ name, none, many }) => `${name} ${none.toFixed(0)} to ${many.toFixed(0)} µs`)
    .join(', ');
}
