/**
 * The naive way, for tests of attacks: a compiled plan with some of its steps taken out, run for real. It shows that the
 * attack works where the defence is missing, so that the test of the defence cannot pass by accident.
 */
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type DefaultOptions, defaultConfig, prepare } from '../../runtime/container/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { removeCgroups } from '../../runtime/kernel/cgroup/index.js';
import { type FeatureName, probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { parseMountInfo } from '../../runtime/kernel/mountinfo.js';
import { Promised } from '../../runtime/kernel/promised.js';
import { compileSeccomp } from '../../runtime/kernel/seccomp/index.js';
import { type Config, validConfig } from '../../runtime/oci/index.js';
import { CREATE, type Plan, type RunOptions, runPlan, type Step } from '../../runtime/plan/index.js';
import { makeRootfs } from '../harness/rootfs.js';

/** Folders of the host, all of which end with the attempt. */
export interface Place {
  readonly rootfs: string;
  /** Has a file `precious`. Nothing of the configuration names it. */
  readonly host: string;
  /** Empty, and shared with whoever attacks. */
  readonly volume: string;
}

export interface Attempt {
  /** Prepares the root file system, as a hostile image would. */
  image?(rootfs: string, place: Place): void;
  readonly args: readonly string[];
  change?(config: Config, place: Place): Config;
  readonly options?: Partial<DefaultOptions>;
  /** What becomes of each step of the inside lane: another one, several, or none. */
  edit?(step: Step, place: Place): Step | readonly Step[] | undefined;
  /** Called before each step of the inside lane, which waits: the moment of somebody who attacks at the same time. */
  before?(step: Step, place: Place, pid: number): void;
  /** Runs the plan, at full speed, while something else goes on. */
  during?(run: () => Promise<Error | undefined>, place: Place): Promise<Error | undefined>;
  /** A kernel without these: the plan is compiled for it, and the system calls answer ENOSYS. */
  readonly missing?: readonly (keyof typeof SYSTEM_CALLS)[];
  /** The plan is compiled as if the kernel had not these. */
  readonly lacking?: readonly FeatureName[];
}

export interface Outcome {
  readonly output: string;
  readonly error?: Error;
  /** What is in `host` afterwards. */
  readonly host: readonly string[];
  /** Mount points in `host` that the container's mount namespace had when its root was entered. */
  readonly mounted: readonly string[];
}

export const SYSTEM_CALLS = {
  mountSetattr: ['mount_setattr'],
  openat2: ['openat2'],
  clone3: ['clone3'],
  openTree: ['open_tree'],
  newMountApi: ['fsopen', 'fsconfig', 'fsmount', 'move_mount'],
} as const satisfies Partial<Record<FeatureName, readonly string[]>>;

/** A filter of our own making, as the kernel takes it: these answer ENOSYS, everything else goes through. */
export function withoutCalls(names: readonly string[]): { readonly program: Uint8Array; readonly flags: number } {
  const rule = { names, action: 'SCMP_ACT_ERRNO', errnoRet: constants.errno.ENOSYS };
  return compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_X86_64'], syscalls: [rule] });
}

/**
 * What the program wrote, or the error that stopped the plan, and what became of the host. A file `canary` and a program `busybox`
 * lie in the state directory, of which stage has a descriptor.
 */
export async function attempt(attack: Attempt): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-attack-'));
  try {
    return await attemptIn(folder, attack);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function attemptIn(folder: string, attack: Attempt): Promise<Outcome> {
  const { image, args, change, options, missing = [], lacking = [] } = attack;
  const rootfs = makeRootfs(join(folder, 'rootfs'));
  const place: Place = { rootfs, host: join(folder, 'host'), volume: join(folder, 'volume') };
  for (const path of [place.host, place.volume]) mkdirSync(path);
  writeFileSync(join(place.host, 'precious'), 'precious');
  const state = join(folder, 'state');
  mkdirSync(state, { mode: 0o700 });
  writeFileSync(join(state, 'canary'), 'reached the host');
  copyFileSync('/bin/busybox', join(state, 'busybox'));
  image?.(rootfs, place);
  const caller = { uid: 0, gid: 0 };
  const config = defaultConfig({ rootfs, args, caller, ...options });
  const valid = validConfig(JSON.parse(JSON.stringify(change ? change(config, place) : config)));
  const prepared = prepare({
    bundle: { path: folder, rootfs, config: valid },
    id: `attack-${process.pid}-${Date.now()}`,
    features: withoutFeatures(probeFeatures(), ...missing, ...lacking),
  });
  // The container may be at work before its maker has said who it is.
  const born = new Promised<number>();
  const mounted: string[] = [];
  const given: number[] = [];
  const files = {
    out: openSync(join(folder, 'out'), 'w+'),
    in: openSync('/dev/null', 'r'),
    state: openSync(state, 'r'),
  };
  const listener = native.listenAt(files.state, 'sock');
  try {
    const steps: Pick<RunOptions, 'beforeStep'> = {
      beforeStep: async ({ lane, step }) => {
        if (lane !== 'inside') return;
        const pid = await born.promise;
        attack.before?.(step, place, pid);
        if (step.kind === 'pivot_root') mounted.push(...mountPointsIn(pid, place.host));
      },
    };
    const run = () =>
      runPlan(edited(prepared.plan, attack, place), {
        given: { [CREATE.state]: files.state, [CREATE.listener]: listener },
        stdio: [files.in, files.out, files.out],
        onCall: () => undefined,
        // The master of a terminal, which lives as long as it.
        onGive: (_, fd) => void given.push(fd),
        onCloned: (child) => {
          if (child.lane === 'inside') born.resolve(child.pid);
          native.close(child.pidfd);
        },
        ...(attack.during ? {} : steps),
      }).ended;
    const error = await (attack.during ? attack.during(run, place) : run());
    const host = readdirSync(place.host, { recursive: true }).map(String).sort();
    if (readFileSync(join(place.host, 'precious'), 'utf8') !== 'precious') host.push('precious was written to');
    return { output: readFileSync(join(folder, 'out'), 'utf8'), ...(error && { error }), host, mounted };
  } finally {
    for (const fd of [...Object.values(files), ...given]) closeSync(fd);
    native.close(listener);
    await removeCgroups(prepared.cgroup?.places ?? []);
  }
}

function edited(plan: Plan, { edit, missing = [] }: Attempt, place: Place): Plan {
  const inside = edit ? plan.lanes.inside?.flatMap((step) => edit(step, place) ?? []) : plan.lanes.inside;
  if (missing.length === 0) return { ...plan, lanes: { ...plan.lanes, inside } };
  const { program, flags } = withoutCalls(missing.flatMap((name) => SYSTEM_CALLS[name]));
  const first: Step = {
    kind: 'seccomp',
    inputs: { flags, filter: program },
    outputs: {},
    field: 'default',
    why: 'a kernel that does not have them',
  };
  return { ...plan, lanes: { ...plan.lanes, inside, outside: [first, ...plan.lanes.outside] } };
}

function mountPointsIn(pid: number, folder: string): string[] {
  return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'))
    .map(({ mountPoint }) => mountPoint)
    .filter((point) => point.startsWith(folder));
}

/** Nothing of the host was touched, and nothing is mounted there. */
export function untouched({ host, mounted }: Outcome): void {
  expect(host).toEqual(['precious']);
  expect(mounted).toEqual([]);
}
