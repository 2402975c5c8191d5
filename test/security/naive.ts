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
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DefaultOptions, defaultConfig, prepare } from '../../runtime/container/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { removeCgroups } from '../../runtime/kernel/cgroup/index.js';
import { type Config, validConfig } from '../../runtime/oci/index.js';
import { CREATE, type Plan, runPlan, type Step } from '../../runtime/plan/index.js';
import { makeRootfs } from '../harness/rootfs.js';

export interface Attempt {
  /** Prepares the root file system, as a hostile image would. */
  image?(rootfs: string): void;
  readonly args: readonly string[];
  change?(config: Config): Config;
  readonly options?: Partial<DefaultOptions>;
  /** What becomes of each step of the inside lane: another one, or none. */
  edit?(step: Step): Step | undefined;
}

/**
 * What the program wrote, or the error that stopped the plan. A file `canary` and a program `busybox` lie in the state
 * directory, on the host, of which stage has a descriptor.
 */
export async function attempt({
  image,
  args,
  change,
  options,
  edit,
}: Attempt): Promise<{ output: string; error?: Error }> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-attack-'));
  const rootfs = makeRootfs(join(folder, 'rootfs'));
  const state = join(folder, 'state');
  mkdirSync(state, { mode: 0o700 });
  writeFileSync(join(state, 'canary'), 'reached the host');
  copyFileSync('/bin/busybox', join(state, 'busybox'));
  image?.(rootfs);
  const caller = { uid: 0, gid: 0 };
  const config = defaultConfig({ rootfs, args, caller, ...options });
  const valid = validConfig(JSON.parse(JSON.stringify(change ? change(config) : config)));
  const prepared = prepare({
    bundle: { path: folder, rootfs, config: valid },
    id: `attack-${process.pid}-${Date.now()}`,
  });
  const files = {
    out: openSync(join(folder, 'out'), 'w+'),
    in: openSync('/dev/null', 'r'),
    state: openSync(state, 'r'),
  };
  const listener = native.listenAt(files.state, 'sock');
  try {
    const run = runPlan(edited(prepared.plan, edit), {
      given: { [CREATE.state]: files.state, [CREATE.listener]: listener },
      stdio: [files.in, files.out, files.out],
      onCall: () => undefined,
    });
    const error = await run.ended;
    return { output: readFileSync(join(folder, 'out'), 'utf8'), ...(error && { error }) };
  } finally {
    for (const fd of Object.values(files)) closeSync(fd);
    native.close(listener);
    await removeCgroups(prepared.cgroup?.places ?? []);
    rmSync(folder, { recursive: true, force: true });
  }
}

function edited(plan: Plan, edit: Attempt['edit']): Plan {
  if (!edit) return plan;
  const inside = plan.lanes.inside?.flatMap((step) => edit(step) ?? []);
  return { ...plan, lanes: { ...plan.lanes, inside } };
}
