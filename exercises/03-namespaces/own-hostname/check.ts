/** Inodes of /proc/PID/ns, and the host name as a process in the new UTS namespace reads it. */
import {
  furthest,
  machineNamespace,
  namespaceOf,
  no,
  noted,
  outsiders,
  type Process,
  type ProcSource,
  text,
  unlessGone,
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
    const shells = await oneForEachName(probe);
    const names = await Promise.all(shells.map(({ pid }) => probe.readInside(pid, 'uts', HOSTNAME)));
    if (names.includes(wanted)) return yes(wanted);
    const [shell] = shells;
    if (!shell) return vanished();
    return no('wrong-name', names[0] ?? 'nothing', `${HOSTNAME}, as pid ${shell.pid} sees it`, wanted);
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
  const [uts, ipc] = await Promise.all([outsiders(probe.proc, 'uts'), outsiders(probe.proc, 'ipc')]);
  return furthest(uts, async ({ pid }) => (ipc.some((other) => other.pid === pid) ? 1 : 0));
}

/** The newest process of each UTS namespace that is not the machine's; of the newest few, since each costs a process to ask. */
async function oneForEachName(probe: Probe): Promise<Process[]> {
  const newestFirst = (await outsiders(probe.proc, 'uts')).sort((a, b) => b.startTime - a.startTime);
  const found = new Map<number, Process>();
  for (const process of newestFirst) {
    const inode = await unlessGone(() => namespaceOf(probe.proc, process.pid, 'uts'));
    if (inode !== undefined && !found.has(inode)) found.set(inode, process);
  }
  return [...found.values()].slice(0, 4);
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
