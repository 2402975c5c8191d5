/** NSpid, the links pid and pid_for_children of /proc/PID/ns, and the proc file system that the process itself sees. */

import {
  furthest,
  machineNamespace,
  namespaceOf,
  no,
  nsPids,
  outsiders,
  type Process,
  processes,
  text,
  unlessGone,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';
import { cmdline } from '../../../runtime/inspect/index.js';

const checks: Checks = {
  'pid-one': async (probe) => {
    const one = await pidOne(probe);
    if (one) return yes(`NSpid of ${one.comm}: ${(await nsPids(probe.proc, one.pid)).join(' ')}`);
    const waiting = await notForked(probe);
    if (waiting) {
      const says = `pid_for_children of ${waiting.comm} (${waiting.pid}) is another namespace than its pid`;
      return no('not-forked', says, `/proc/${waiting.pid}/ns`, 'a process that was born in the new pid namespace');
    }
    const says = `every process is in pid:[${await machineNamespace(probe.proc, 'pid')}]`;
    return no('same-pid', says, '/proc/PID/ns/pid', 'a process that is pid 1 of another pid namespace');
  },

  'own-proc': async (probe) => {
    const one = await pidOne(probe);
    if (!one) return vanished();
    if (await seesItself(probe, one)) return yes('its /proc/1 is the shell itself');
    const where = `/proc/${one.pid}/root/proc/1/stat`;
    return no('machine-proc', 'its /proc/1 is another process than itself', where, 'the shell that is pid 1');
  },

  neighbour: async (probe) => {
    const one = await pidOne(probe);
    if (!one) return vanished();
    const sleeper = await sleeping(probe);
    const wanted = `sleep ${probe.vars.seconds}`;
    if (sleeper.length === 0) return no('no-neighbour', `nobody runs ${wanted}`, '/proc/PID/cmdline', wanted);
    const home = await namespaceOf(probe.proc, one.pid, 'pid');
    for (const { pid } of sleeper) {
      if ((await namespaceOf(probe.proc, pid, 'pid')) === home) {
        return yes(`NSpid of sleep: ${(await nsPids(probe.proc, pid)).join(' ')}`);
      }
    }
    const [first] = sleeper as [Process];
    const says = `pid:[${await namespaceOf(probe.proc, first.pid, 'pid')}]`;
    return no('outside', says, `/proc/${first.pid}/ns/pid`, `pid:[${home}], as the shell has`);
  },
};
export default checks;

/** The first process of another pid namespace; one that sees itself in its /proc, and has the neighbour, if there are several. */
async function pidOne(probe: Probe): Promise<Process | undefined> {
  const inside = await outsiders(probe.proc, 'pid');
  const pids = await Promise.all(inside.map((process) => unlessGone(() => nsPids(probe.proc, process.pid))));
  const first = inside.filter((_, index) => pids[index]?.at(-1) === 1);
  const neighbours = await Promise.all(
    (await sleeping(probe)).map(({ pid }) => unlessGone(() => namespaceOf(probe.proc, pid, 'pid'))),
  );
  return furthest(first, async (process) => {
    const own = neighbours.includes(await namespaceOf(probe.proc, process.pid, 'pid'));
    return (own ? 1 : 0) + ((await seesItself(probe, process)) ? 1 : 0);
  });
}

/** The process's view of /proc, read through its root directory: is its pid 1 the process itself? */
async function seesItself(probe: Probe, { pid, startTime }: Process): Promise<boolean> {
  const seen = (await text(probe.proc, `/proc/${pid}/root/proc/1/stat`))?.split(') ').at(-1)?.split(' ')[19];
  return Number(seen) === startTime;
}

/** The link for children is missing until there is a child, and again when the namespace's pid 1 has died. */
async function notForked(probe: Probe): Promise<Process | undefined> {
  for (const process of await processes(probe.proc)) {
    const own = await unlessGone(() => namespaceOf(probe.proc, process.pid, 'pid'));
    const children = await unlessGone(() => namespaceOf(probe.proc, process.pid, 'pid_for_children'));
    if (own !== undefined && own !== children && process.comm !== 'unshare') return process;
  }
  return undefined;
}

async function sleeping(probe: Probe): Promise<Process[]> {
  const named = (await processes(probe.proc)).filter((process) => process.comm === 'sleep');
  const lines = await Promise.all(named.map((process) => unlessGone(() => cmdline(probe.proc, process.pid))));
  return named.filter((_, index) => lines[index]?.[1] === probe.vars.seconds);
}

function vanished(): Verdict {
  return no('same-pid', 'the shell has ended', '/proc', 'a process that is pid 1 of another pid namespace');
}
