/**
 * The plan's property: whatever a config.json asks for, running its plan gives a process of which the kernel says just that. What is
 * asked is drawn at random, what the kernel says is what `tare inspect` shows, and each is compared with configs.ts's own idea of it.
 */
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Container, defaultConfig } from '../../runtime/container/index.js';
import { inspectProcess, localProc, type ProcessFacts, propagation } from '../../runtime/inspect/index.js';
import { type Features, probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { type Config, type NamespaceType, validConfig } from '../../runtime/oci/index.js';
import { makeRootfs } from '../harness/rootfs.js';
import { until } from '../harness/until.js';
import { makeWorld, type World } from '../harness/world.js';
import {
  capabilitiesOf,
  configOf,
  type Drawn,
  drawn,
  grantedLimit,
  hostId,
  mountOptions,
  PLACES,
  SYSCTLS,
} from './configs.js';

const folder = mkdtempSync(join(tmpdir(), 'tare-property-'));
const rootfs = join(folder, 'rootfs');
const shared = join(folder, 'shared');
let world: World;
let base: Config;

beforeAll(async () => {
  // Users of a user namespace must get to the root.
  chmodSync(folder, 0o755);
  makeRootfs(rootfs);
  // Where a user namespace has no right to make anything.
  const points = ['proc', 'dev', 'sys', 'mnt/a', 'mnt/b', 'mnt/c', 'mnt/d/e'].map((point) => join(rootfs, point));
  for (const path of [...points, shared]) mkdirSync(path, { recursive: true });
  base = defaultConfig({ rootfs, args: ['true'], caller: { uid: 0, gid: 0 } });
  world = await makeWorld('property');
  process.env.TARE_CGROUP_PARENT = world.cgroup;
});
afterAll(async () => {
  delete process.env.TARE_CGROUP_PARENT;
  await world.close();
  rmSync(folder, { recursive: true });
});

interface Observed {
  readonly facts: ProcessFacts;
  readonly said: readonly string[];
  readonly umask: string;
  readonly personality: string;
  readonly scheduling: { readonly nice: number; readonly priority: number; readonly policy: number };
}

let runs = 0;

/** Runs it until it has said what it has to say, looks at it, and removes it. */
async function observe(config: Config, features: Features): Promise<Observed> {
  const output = join(folder, 'output');
  const out = openSync(output, 'w');
  const input = openSync('/dev/null', 'r');
  const container = await Container.run({
    id: `property-${process.pid}-${++runs}`,
    bundle: { path: folder, rootfs, config },
    stateRoot: join(folder, 'state'),
    features,
    stdio: [input, out, out],
  }).finally(() => {
    closeSync(out);
    closeSync(input);
  });
  try {
    const { pid = 0 } = container.state();
    const read = () => readFileSync(output, 'utf8');
    const isWaiting = () => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep');
    await until(() => read().endsWith('said\n') && isWaiting());
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return {
      facts: await inspectProcess(localProc(), pid),
      said: read().split('\n').slice(0, -2),
      umask: /^Umask:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '',
      personality: readFileSync(`/proc/${pid}/personality`, 'utf8').trim(),
      scheduling: { nice: fields[16] as number, priority: fields[37] as number, policy: fields[38] as number },
    };
  } finally {
    await container.delete({ force: true });
  }
}

const NAMESPACES = {
  pid: 'pid',
  network: 'net',
  ipc: 'ipc',
  uts: 'uts',
  cgroup: 'cgroup',
  time: 'time',
  user: 'user',
} as const;

function expectFacts(one: Drawn, { facts, said, umask, personality, scheduling }: Observed, mine: ProcessFacts): void {
  const { user } = one;
  const id = (value: number) => hostId(value, one);
  const four = (value: number) => ({ real: value, effective: value, saved: value, filesystem: value });
  const isNew = (type: NamespaceType) => one.namespaces.includes(type);

  // Separation.
  for (const [type, link] of Object.entries(NAMESPACES) as [keyof typeof NAMESPACES, string][]) {
    const inode = Number(/\d+/.exec(readlinkSync(`/proc/self/ns/${link}`))?.[0]);
    if (isNew(type)) expect(facts.namespaces[link as 'pid'], type).not.toBe(inode);
    else expect(facts.namespaces[link as 'pid'], type).toBe(inode);
  }
  expect(facts.nsPids.length - mine.nsPids.length).toBe(isNew('pid') ? 1 : 0);
  expect(said).toEqual([isNew('uts') ? one.name : hostname(), ...one.sysctls.map((name) => SYSCTLS[name]?.value)]);

  // Who it is, and what it may do.
  expect(facts.uids).toEqual(four(id(user.uid)));
  expect(facts.gids).toEqual(four(id(user.gid)));
  expect([...facts.groups].sort()).toEqual(user.additionalGids.map(id).sort());
  expect(Number.parseInt(umask, 8)).toBe(user.umask ?? 0o022);
  expect(facts.capabilities).toEqual(capabilitiesOf(one));
  expect(facts.noNewPrivs).toBe(one.noNewPrivileges);
  const filters = mine.seccomp.filters + (one.filter ? 1 : 0);
  expect(facts.seccomp).toEqual({ mode: filters > 0 ? 'filter' : 'none', filters });

  // What it gets.
  expect(facts.resourceLimits).toEqual({
    ...mine.resourceLimits,
    ...Object.fromEntries(one.limits.map((limit) => [limit.type, grantedLimit(limit)])),
  });
  expect(facts.oom?.adjust).toBe(one.oomScoreAdj ?? mine.oom?.adjust);
  if (one.memory !== undefined) expect(facts.limits.memory?.own).toBe(one.memory);
  if (one.pids !== undefined) expect(facts.limits.pids?.own).toBe(one.pids);
  if (one.cpus !== undefined) expect(facts.limits.cpu?.own).toBeCloseTo(one.cpus, 5);
  expect(personality).toBe(one.longPersonality ? '00000008' : '00000000');
  expect(scheduling).toEqual(
    one.realTime !== undefined
      ? { policy: 1, priority: one.realTime, nice: 0 }
      : { policy: one.nice === undefined ? 0 : 3, priority: 0, nice: one.nice ?? 0 },
  );

  // Where it stands.
  expect(facts.cwd?.path).toBe(one.cwd);
  expect([facts.session, facts.processGroup, facts.descriptors]).toEqual([facts.pid, facts.pid, 3]);
  expectMounts(one, facts);
}

function expectMounts(one: Drawn, { mounts }: ProcessFacts): void {
  const at = (point: string) => mounts.findLast((mount) => mount.mountPoint === point);
  const root = at('/');
  expect(root?.options.includes('ro'), 'root.readonly').toBe(one.readonlyRoot);
  if (root && one.propagation) expect(propagation(root)).toBe(one.propagation);
  for (const { name, bind, options } of one.mounts) {
    const mount = at(`/mnt/${name}`);
    expect([...(mount?.options ?? [])].sort(), `/mnt/${name}`).toEqual(mountOptions(options).sort());
    expect(mount?.fsType === 'tmpfs' || bind).toBe(true);
  }
  for (const path of one.masked) {
    const what = PLACES[path as keyof typeof PLACES];
    // What lies in a masked folder is hidden with it.
    if (path === '/etc/passwd' && one.masked.includes('/etc')) continue;
    const mount = at(path);
    if (what === 'nothing') expect(mount).toBeUndefined();
    else if (what === 'tmpfs') expect([mount?.fsType, mount?.options.includes('ro')]).toEqual(['tmpfs', true]);
    else expect(mount?.root).toMatch(/null$/);
  }
  for (const path of one.readonly) {
    if (path === '/not/there') expect(at(path)).toBeUndefined();
    else expect(at(path)?.options.includes('ro'), path).toBe(true);
  }
}

it('a process is what its config.json asks for', async () => {
  const mine = await inspectProcess(localProc(), process.pid);
  const features = probeFeatures();
  const before = world.contents();
  const property = fc.asyncProperty(drawn, async (one) => {
    const config = validConfig(JSON.parse(JSON.stringify(configOf(one, base, shared))));
    expectFacts(one, await observe(config, withoutFeatures(features, ...one.without)), mine);
  });
  // Often enough to mean something, however slow the machine is; more often where there is time.
  await fc.assert(property, { numRuns: 40 });
  await fc.assert(property, { numRuns: 110, interruptAfterTimeLimit: 12_000 });
  expect(await world.leaks(before)).toEqual([]);
}, 300_000);
