import { it, expect } from 'vitest';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { runPlan } from '../../runtime/plan/run.js';

it('runs', async () => {
  const b = new PlanBuilder();
  const init = b.outside.clone({ lane: 'inside', flags: 0x20000 | 0x4000000 | 0x8000000 | 0x20000000 | 0x40000000, cgroup: 'none' });
  b.inside.exec({ candidates: ['/bin/sh'], argv: ['sh', '-c', 'exit 7'], env: [] });
  b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
  const run = runPlan(b.build(), { trace: true });
  await run.started;
  expect(await run.exited).toBe(7 << 8);
  expect(await run.ended).toBeUndefined();
  console.log(run.timings.map((t) => [t.lane, t.step.kind, t.ns]), run.cloned);
});
