/** The answers are compared with the pids that the kernel shows at that moment: NSpid in /proc/PID/status. */
import {
  answer,
  hold,
  namespaceOf,
  no,
  nsPids,
  outsiders,
  type Process,
  processes,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';

const checks: Checks = {
  'host-pid': async (probe) => {
    const first = await firstProcess(probe);
    if (!first) return gone(probe);
    const given = await answerNumber(probe, 'host-pid');
    if (typeof given !== 'number') return given;
    if (given === first.pid) return yes(`NSpid of ${given}: ${(await nsPids(probe.proc, given)).join(' ')}`);

    const where = `/proc/${given}/status`;
    const expected = `the pid on this machine of the process that is pid 1 in ${probe.vars.service}’s container`;
    if (given === 1) return no('inside-pid', 'pid 1 of this machine is its init', where, expected);
    const named = (await processes(probe.proc)).find((process) => process.pid === given);
    if (!named) return no('no-such-process', `no process has pid ${given}`, '/proc', expected);
    const pids = await nsPids(probe.proc, given);
    const says = `${named.comm}, NSpid: ${pids.join(' ')}`;
    if (pids.length === 1) return no('machine-process', says, where, expected);
    const [its, wanted] = await Promise.all([given, first.pid].map((pid) => namespaceOf(probe.proc, pid, 'pid')));
    if (its !== wanted) return no('other-container', says, where, expected);
    return no('not-first', says, where, expected);
  },

  'inside-pid': async (probe) => {
    const first = await firstProcess(probe);
    const child = first && (await processes(probe.proc)).find((process) => process.parent === first.pid);
    if (!child) return gone(probe);
    const given = await answerNumber(probe, 'inside-pid');
    if (typeof given !== 'number') return given;
    const pids = await nsPids(probe.proc, child.pid);
    const says = `you wrote ${given}`;
    const where = '/root/answer/inside-pid';
    const expected = 'the last number of the child’s NSpid line';
    if (given === pids.at(-1)) return yes(`NSpid of the child: ${pids.join(' ')}`);
    return no(given === child.pid ? 'host-number' : 'wrong-pid', says, where, expected);
  },
};
export default checks;

/** Named like the service, in a pid namespace of its own, and pid 1 there. */
async function firstProcess(probe: Probe): Promise<Process | undefined> {
  return hold(probe, 'first', async () => {
    const named = (await outsiders(probe.proc, 'pid')).filter((process) => process.comm === probe.vars.service);
    const pids = await Promise.all(named.map((process) => nsPids(probe.proc, process.pid)));
    return named.filter((_, index) => pids[index]?.at(-1) === 1);
  });
}

async function answerNumber(probe: Probe, name: string): Promise<number | Verdict> {
  const given = await answer(probe.proc, name);
  const where = `/root/answer/${name}`;
  if (given === undefined) return no('no-answer', 'there is no answer yet', where, 'one number');
  if (!/^\d{1,7}$/.test(given))
    return no('not-a-number', `it says ${JSON.stringify(given.slice(0, 40))}`, where, 'one number');
  return Number(given);
}

function gone(probe: Probe): Verdict {
  const says = `no process named ${probe.vars.service} is pid 1 of a pid namespace with a child`;
  return no('container-gone', says, '/proc', 'the container that was running at the start');
}
