/** Attaches device programs to a cgroup the way that a container's plan does: by stage. */
import { PlanBuilder } from '../../../runtime/plan/builder.js';
import { runPlan } from '../../../runtime/plan/run.js';

const O_DIRECTORY_CLOEXEC = 0o2200000;

/** @throws TareError with stage's failure: `bpf BPF_PROG_LOAD`, with its errno, when the kernel refuses a program */
export async function attachPrograms(cgroup: string, ...programs: readonly Uint8Array[]): Promise<void> {
  const builder = new PlanBuilder();
  const { outside } = builder;
  const directory = outside.openat2({ dir: 'cwd', path: cgroup, flags: O_DIRECTORY_CLOEXEC, mode: 0, resolve: 0 });
  for (const program of programs) outside.cgroup_device({ cgroup: directory, program });
  outside.exit({ status: 0 });
  const status = await runPlan(builder.build()).exited;
  if (status !== 0) throw new Error(`stage ended with ${status}`);
}
