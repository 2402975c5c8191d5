/** The order in which a plan makes and joins namespaces, for every combination. Nothing is run here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { defaultConfig, prepare } from '../../runtime/container/index.js';
import * as clone from '../../runtime/kernel/constants/clone.js';
import { probeFeatures } from '../../runtime/kernel/features.js';
import { type Config, NAMESPACE_TYPES, type NamespaceType, validConfig } from '../../runtime/oci/index.js';
import { type Caller, checkPlan, encodePlan, type Plan, type Step } from '../../runtime/plan/index.js';
import { ROOT as root } from '../harness/callers.js';

const rootfs = mkdtempSync(join(tmpdir(), 'tare-namespaces-'));
afterAll(() => rmSync(rootfs, { recursive: true }));

const features = probeFeatures();
const user: Caller = { ...root, uid: 1000, gid: 1000, capabilities: 0n };

const FLAGS: Record<NamespaceType, number> = {
  mount: clone.CLONE_NEWNS,
  pid: clone.CLONE_NEWPID,
  network: clone.CLONE_NEWNET,
  ipc: clone.CLONE_NEWIPC,
  uts: clone.CLONE_NEWUTS,
  user: clone.CLONE_NEWUSER,
  cgroup: clone.CLONE_NEWCGROUP,
  time: clone.CLONE_NEWTIME,
};

type How = 'inherited' | 'new' | 'joined' | 'own';

interface Asked {
  readonly how: Readonly<Record<NamespaceType, How>>;
  readonly ofJoinedUser: readonly NamespaceType[];
  readonly offsets: boolean;
  readonly oomScoreAdj?: number;
  readonly rootless: boolean;
}

const PLAIN: Record<NamespaceType, How> = {
  mount: 'new',
  pid: 'new',
  network: 'new',
  ipc: 'new',
  uts: 'new',
  user: 'inherited',
  cgroup: 'new',
  time: 'inherited',
};

function compile({ how, ofJoinedUser, offsets, oomScoreAdj, rootless }: Asked): Plan {
  const caller = rootless ? user : root;
  const { linux, process, ...rest } = defaultConfig({ rootfs, args: ['/bin/sh'], caller: root });
  const config = {
    ...rest,
    // What shows a namespace is refused, or made elsewhere, where that is not the container's: the tests in system/ see to it.
    mounts: rest.mounts?.filter(({ type }) => type !== 'proc' && type !== 'mqueue'),
    process: { ...process, oomScoreAdj },
    linux: {
      ...linux,
      namespaces: NAMESPACE_TYPES.filter((type) => how[type] !== 'inherited').map((type) =>
        how[type] === 'new' ? { type } : { type, path: `/run/other/${type}` },
      ),
      ...(how.user === 'new' && {
        uidMappings: [{ containerID: 0, hostID: caller.uid, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: caller.gid, size: 1 }],
      }),
      ...(offsets && { timeOffsets: { monotonic: { secs: 7 } } }),
    },
  };
  const valid = validConfig(JSON.parse(JSON.stringify(config)) as Config);
  return prepare({
    bundle: { path: rootfs, rootfs, config: valid },
    id: 'test',
    caller,
    features,
    joined: {
      own: new Set(NAMESPACE_TYPES.filter((type) => how[type] === 'own')),
      ofJoinedUser: new Set(ofJoinedUser.filter((type) => type !== 'user' && how[type] === 'joined')),
    },
  }).plan;
}

const asked = (how: Partial<Record<NamespaceType, How>> = {}, more: Partial<Asked> = {}): Asked => ({
  how: { ...PLAIN, ...how },
  ofJoinedUser: [],
  offsets: false,
  rootless: false,
  ...more,
});

const steps = (plan: Plan): readonly Step[] => Object.values(plan.lanes).flat();
const bridge = (plan: Plan): readonly Step[] => plan.lanes.bridge ?? [];

/** What a step does to namespaces, as a word: `clone pid`, `setns user`. */
function words(step: Step): string[] {
  const named = (flags: number | bigint) =>
    NAMESPACE_TYPES.filter((type) => (Number(flags) & FLAGS[type]) !== 0).map((type) => `${step.kind} ${type}`);
  if (step.kind === 'clone' || step.kind === 'unshare' || step.kind === 'setns') return named(step.inputs.flags);
  if (step.kind === 'prctl' && step.inputs.option === 4) return [`dumpable ${step.inputs.arg2}`];
  if (step.kind === 'setresuid') return ['setresuid'];
  if (step.kind === 'open_proc' || step.kind === 'openat2') return [`open ${step.inputs.path}`];
  return [step.kind];
}

describe('the bridge', () => {
  it.each<[string, boolean, Asked]>([
    ['a default container', false, asked()],
    ['a new user namespace', false, asked({ user: 'new' })],
    ['a new time namespace', false, asked({ time: 'new' })],
    [
      'a network, ipc, uts, cgroup or time namespace that is joined',
      false,
      asked({ network: 'joined', ipc: 'joined', uts: 'joined', cgroup: 'joined', time: 'joined' }),
    ],
    ['a pid namespace that is the caller’s', false, asked({ pid: 'own' })],
    ['a pid namespace that is joined', true, asked({ pid: 'joined' })],
    ['clocks', true, asked({ time: 'new' }, { offsets: true })],
    ['a user namespace that is joined', true, asked({ user: 'joined' })],
    ['a new user namespace and a network that is joined', true, asked({ user: 'new', network: 'joined' })],
    ['a new user namespace and the caller’s own network', false, asked({ user: 'new', network: 'own' })],
  ])('stands between for %s: %s', (_, needed, what) => {
    const plan = compile(what);
    expect(Object.hasOwn(plan.lanes, 'bridge')).toBe(needed);
    expect(steps(plan).some(({ kind }) => kind === 'adopt')).toBe(needed);
  });

  it('costs nothing where it is not needed: a network that is joined is three steps, and no loopback to raise', () => {
    const count = (plan: Plan) => steps(plan).length;
    expect(count(compile(asked({ network: 'joined' })))).toBe(count(compile(asked())) + 3 - 1);
    expect(count(compile(asked({ network: 'own' })))).toBe(count(compile(asked())) - 1);
  });

  it('joins what belongs to the host, then the user namespace, then what belongs to that, and paths are opened before', () => {
    const plan = compile(
      asked(
        { user: 'joined', network: 'joined', ipc: 'joined', pid: 'joined', mount: 'joined' },
        { ofJoinedUser: ['ipc', 'pid', 'mount'] },
      ),
    );
    const done = bridge(plan).flatMap(words);
    expect(done.filter((word) => /^(open|setns|clone|setresuid)/.test(word))).toEqual([
      ...['mount', 'pid', 'network', 'ipc', 'user']
        .sort((a, b) => Number(a === 'mount') - Number(b === 'mount'))
        .map((type) => `open /run/other/${type}`),
      'setns network',
      'setns user',
      'setresuid',
      'setns pid',
      'setns ipc',
      'setns mount',
      'clone uts',
    ]);
  });

  it('is mapped while it may be looked at, by the host alone, and sets the clocks before it is somebody else', () => {
    const plan = compile(asked({ user: 'new', network: 'joined', time: 'new' }, { offsets: true, rootless: false }));
    const done = bridge(plan).flatMap(words);
    expect(done.filter((word) => !/^(close|write|open \/(run|proc))/.test(word))).toEqual([
      'setns network',
      'dumpable 1',
      'unshare user',
      'post',
      'wait',
      'unshare time',
      'open self/timens_offsets',
      'dumpable 0',
      'setresgid',
      'setresuid',
      ...['mount', 'pid', 'ipc', 'uts'].map((type) => `clone ${type}`),
      'post',
      'exit',
    ]);
  });

  it('leaves entering the cgroup to a file that outside has opened, once it is another user', () => {
    const entersByClone = (plan: Plan) =>
      steps(plan).some((step) => step.kind === 'clone' && step.inputs.cgroup !== 'none');
    expect(entersByClone(compile(asked({ pid: 'joined' })))).toBe(entersByClone(compile(asked())));
    expect(entersByClone(compile(asked({ user: 'joined' })))).toBe(false);
  });
});

describe('any combination of namespaces', () => {
  const how = fc.constantFrom<How>('inherited', 'new', 'joined', 'own');
  const any = fc
    .record({
      how: fc.record({
        mount: fc.constantFrom<How>('new', 'joined'),
        pid: how,
        network: how,
        ipc: how,
        uts: how,
        user: how,
        cgroup: how,
        time: how,
      }),
      ofJoinedUser: fc.subarray([...NAMESPACE_TYPES]),
      offsets: fc.boolean(),
      oomScoreAdj: fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined }),
      rootless: fc.boolean(),
    })
    .filter(({ how, ofJoinedUser, offsets, rootless }) => {
      const { user, time } = how;
      if (rootless && user !== 'new' && user !== 'joined') return false;
      const foreign = NAMESPACE_TYPES.some(
        (type) => how[type] === 'joined' && type !== 'user' && !(user === 'joined' && ofJoinedUser.includes(type)),
      );
      if (rootless && foreign) return false;
      return !offsets || time === 'new';
    });

  it('makes each new one once, joins each other one once, and runs one process in them', () => {
    fc.assert(
      fc.property(any, (what) => {
        const plan = compile(what);
        checkPlan(plan);
        expect(encodePlan(plan).length).toBeGreaterThan(0);
        const all = steps(plan).flatMap(words);
        for (const type of NAMESPACE_TYPES) {
          const made = all.filter((word) => word === `clone ${type}` || word === `unshare ${type}`);
          const joined = all.filter((word) => word === `setns ${type}`);
          expect([made.length, joined.length], type).toEqual([
            what.how[type] === 'new' ? 1 : 0,
            what.how[type] === 'joined' ? 1 : 0,
          ]);
        }
        expect(steps(plan).filter((step) => step.kind === 'clone' && step.inputs.lane === 'inside')).toHaveLength(1);
        checkBridge(plan, what);
      }),
      { numRuns: 150 },
    );
  });

  function checkBridge(plan: Plan, { how, ofJoinedUser }: Asked): void {
    const done = bridge(plan).flatMap(words);
    if (done.length === 0) return;
    // Who is in a namespace with others, and is not yet the container, cannot be traced.
    const last = done.filter((word) => word.startsWith('dumpable')).at(-1);
    expect([undefined, 'dumpable 0']).toContain(last);
    const at = (word: string) => done.indexOf(word);
    const change = how.user === 'joined' ? at('setns user') : at('unshare user');
    if (change < 0) return;
    for (const type of NAMESPACE_TYPES) {
      if (how[type] === 'joined' && type !== 'user') {
        const after = how.user === 'joined' && ofJoinedUser.includes(type);
        expect(at(`setns ${type}`) > change, type).toBe(after);
      }
      if (how[type] === 'new' && at(`clone ${type}`) >= 0) expect(at(`clone ${type}`), type).toBeGreaterThan(change);
    }
    expect(at('setresuid')).toBeGreaterThan(change);
  }
});
