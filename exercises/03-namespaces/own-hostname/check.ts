/** Inodes of /proc/PID/ns, and the host name as a process in the new UTS namespace reads it. */
import {
  hold,
  machineNamespace,
  namespaceOf,
  no,
  noted,
  outsiders,
  type Process,
  type ProcSource,
  text,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';

const HOSTNAME = '/proc/sys/kernel/hostname';

const checks: Checks = {
  'own-uts': async (probe) => {
    await noted(probe, 'machine name', () => machineName(probe.proc));
    const shell = await renamable(probe);
    const machine = await machineNamespace(probe.proc, 'uts');
    if (shell)
      return yes(`uts:[${await namespaceOf(probe.proc, shell.pid, 'uts')}], where the machine has uts:[${machine}]`);
    const says = `every process is in uts:[${machine}]`;
    return no('same-uts', says, '/proc/PID/ns/uts', 'a process in another UTS namespace');
  },

  'own-ipc': async (probe) => {
    const shell = await renamable(probe);
    if (!shell) return vanished();
    const [its, machine] = await Promise.all([
      namespaceOf(probe.proc, shell.pid, 'ipc'),
      machineNamespace(probe.proc, 'ipc'),
    ]);
    if (its !== machine) return yes(`ipc:[${its}], where the machine has ipc:[${machine}]`);
    const says = `ipc:[${its}], which is the machine’s`;
    return no('same-ipc', says, `/proc/${shell.pid}/ns/ipc`, 'another IPC namespace than the machine’s');
  },

  hostname: async (probe) => {
    const wanted = probe.vars.hostname as string;
    if ((await machineName(probe.proc)) === wanted) return renamed(wanted);
    const shell = await renamable(probe);
    if (!shell) return vanished();
    const name = await probe.readInside(shell.pid, 'uts', HOSTNAME);
    if (name === wanted) return yes(name);
    const where = `${HOSTNAME}, as pid ${shell.pid} sees it`;
    return no('wrong-name', name ?? 'nothing', where, wanted);
  },

  'machine-kept': async (probe) => {
    const before = await noted(probe, 'machine name', () => machineName(probe.proc));
    const now = await machineName(probe.proc);
    return now === before ? yes(now) : renamed(now);
  },
};
export default checks;

/** A process outside the machine's UTS namespace; one outside its IPC namespace as well, if there is one. */
async function renamable(probe: Probe): Promise<Process | undefined> {
  return hold(probe, 'shell', async () => {
    const [uts, ipc] = await Promise.all([outsiders(probe.proc, 'uts'), outsiders(probe.proc, 'ipc')]);
    const both = uts.filter((process) => ipc.some((other) => other.pid === process.pid));
    return both.length > 0 ? both : uts;
  });
}

async function machineName(proc: ProcSource): Promise<string> {
  return (await text(proc, HOSTNAME)) ?? '';
}

function renamed(name: string): Verdict {
  return no('machine-renamed', name, HOSTNAME, 'the name that the machine had at the start');
}

function vanished(): Verdict {
  return no('same-uts', 'the shell has ended', '/proc/PID/ns/uts', 'a process in another UTS namespace');
}
