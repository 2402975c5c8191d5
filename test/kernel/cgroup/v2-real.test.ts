/**
 * A plan of version 2 on a kernel that has nothing else: a user-mode Linux, booted for this test in about two seconds, whose
 * process 1 is a script that does what the plan says. So it is tested on hosts of every layout.
 */
import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { type CgroupPlan, detectCgroups, planCgroup } from '../../../runtime/kernel/cgroup/index.js';
import { withFolder } from '../support.js';
import { fixture } from './fixtures.js';

const LINUX = '/usr/bin/linux.uml';

/** What that kernel shows after `mount -t cgroup2`. Its process 1 is in the root, which may hold processes and enable controllers. */
const files = fixture({
  '/proc/self/mountinfo': '20 19 0:18 / /mnt/cg rw,relatime - cgroup2 cgroup2 rw\n',
  '/proc/self/cgroup': '0::/\n',
  '/mnt/cg/cgroup.controllers': 'cpu io memory pids\n',
  '/mnt/cg/cgroup.subtree_control': '\n',
  '/mnt/cg/cgroup.procs': '1\n',
});

function script(plan: CgroupPlan): string {
  const actions = plan.actions.flatMap((action) => {
    if (action.do === 'mkdir') return [`mkdir '${action.path}'`];
    return action.do === 'write' ? [`printf %s '${action.value}' > '${action.path}'`] : [];
  });
  const written = new Set(plan.actions.flatMap((action) => (action.do === 'write' ? [action.path] : [])));
  return `#!/bin/sh
mount -t proc proc /proc && mount -t tmpfs tmpfs /mnt && mkdir /mnt/cg && mount -t cgroup2 cgroup2 /mnt/cg
set -x
${actions.join('\n')}
set +x
for file in ${[...written].join(' ')}; do echo "VALUE $file $(cat $file)"; done
sh -c 'echo 0 > ${plan.procs} && exec sleep 60' &
until grep -q tare /proc/$!/cgroup; do sleep 0.05; done
echo "MEMBER $(cat /proc/$!/cgroup)"
echo 1 > ${plan.into}/cgroup.kill
wait $!
echo "ENDED $?"
rmdir ${plan.into} && echo REMOVED
echo o > /proc/sysrq-trigger
sleep 9
`;
}

it('a plan is carried out by a kernel that has version 2 alone', async (ctx) => {
  if (!existsSync(LINUX)) ctx.skip('user-mode-linux is not installed');
  const limits = {
    memory: { limit: 64 << 20, reservation: 32 << 20 },
    pids: { limit: 100 },
    cpu: { shares: 512, quota: 50_000, period: 100_000 },
  };
  const plan = planCgroup(detectCgroups(files), { path: '/tare/x', limits, hierarchies: 'all' }, files);
  expect(plan.unenforced).toEqual([]);
  const output = await withFolder(async (folder) => {
    const init = join(folder, 'init');
    writeFileSync(init, script(plan), { mode: 0o755 });
    const args = [
      'mem=128M',
      'rootfstype=hostfs',
      'rootflags=/',
      `init=${init}`,
      'con=null',
      'con0=null,fd:1',
      'quiet',
    ];
    const options = {
      timeout: 40_000,
      killSignal: 'SIGKILL' as const,
      env: { ...process.env, TMPDIR: folder, HOME: folder },
    };
    return (await promisify(execFile)(LINUX, args, options)).stdout;
  });
  const lines = output.split(/\r?\n/).filter((line) => /^(VALUE|MEMBER|ENDED|REMOVED)/.test(line));
  expect(lines, output).toEqual([
    'VALUE /mnt/cg/cgroup.subtree_control cpu io memory pids',
    'VALUE /mnt/cg/tare/cgroup.subtree_control cpu io memory pids',
    'VALUE /mnt/cg/tare/x/memory.max 67108864',
    'VALUE /mnt/cg/tare/x/memory.low 33554432',
    'VALUE /mnt/cg/tare/x/pids.max 100',
    'VALUE /mnt/cg/tare/x/cpu.weight 59',
    'VALUE /mnt/cg/tare/x/cpu.max 50000 100000',
    'MEMBER 0::/tare/x',
    'ENDED 137',
    'REMOVED',
  ]);
});
