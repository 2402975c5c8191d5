/** Which process is in which namespace, by inode; and the routes of a network namespace, which show whether lo is up. */
import {
  furthest,
  hold,
  machineNamespace,
  namespaceOf,
  no,
  noted,
  outsiders,
  type Process,
  text,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';

const checks: Checks = {
  'joined-net': async (probe) => {
    const service = await container(probe);
    if (!service) return gone(probe);
    const shell = await visitor(probe, service);
    const net = await namespaceOf(probe.proc, service.pid, 'net');
    const expected = `a process in net:[${net}] and in the machine’s mount namespace`;
    if (shell) return yes(`${shell.comm} (${shell.pid}) is in net:[${net}]`);
    for (const other of await strangers(probe)) {
      const [itsNet, itsMounts] = await Promise.all([
        namespaceOf(probe.proc, other.pid, 'net'),
        namespaceOf(probe.proc, other.pid, 'mnt'),
      ]);
      const where = `/proc/${other.pid}/ns`;
      if (itsNet !== net) return no('new-namespace', `${other.comm} is in net:[${itsNet}]`, where, expected);
      return no('all-joined', `${other.comm} is in the container’s mnt:[${itsMounts}] as well`, where, expected);
    }
    return no('nobody', `only ${probe.vars.service} and its child are in net:[${net}]`, '/proc/PID/ns/net', expected);
  },

  'joined-pid': async (probe) => {
    const service = await container(probe);
    if (!service) return gone(probe);
    const shell = await visitor(probe, service);
    const wanted = await namespaceOf(probe.proc, service.pid, 'pid');
    const its = shell && (await namespaceOf(probe.proc, shell.pid, 'pid'));
    if (its === wanted) return yes(`pid:[${its}], as ${probe.vars.service} has`);
    const where = `/proc/${shell?.pid ?? 'PID'}/ns/pid`;
    return no(
      'not-in-pid',
      its ? `pid:[${its}]` : 'the shell has ended',
      where,
      `pid:[${wanted}], as ${probe.vars.service} has`,
    );
  },

  loopback: async (probe) => {
    const service = await container(probe);
    if (!service) return gone(probe);
    // 127.0.0.1 is in the local routing table exactly while lo is up.
    const where = `/proc/${service.pid}/net/fib_trie`;
    if ((await text(probe.proc, where))?.includes('127.0.0.1')) return yes('127.0.0.1 is a local address there');
    return no('loopback-down', '127.0.0.1 is not there', where, '127.0.0.1 as a local address');
  },
};
export default checks;

async function container(probe: Probe): Promise<Process | undefined> {
  const service = await hold(probe, 'service', async () =>
    (await outsiders(probe.proc, 'mnt')).filter((process) => process.comm === probe.vars.service),
  );
  // Who is there at the start belongs to the container; whoever comes later is a visitor.
  await noted(probe, 'crew', async () => (await outsiders(probe.proc, 'net')).map(name));
  return service;
}

/** Processes outside the machine's network namespace that were not there at the start. */
async function strangers(probe: Probe): Promise<Process[]> {
  const crew = await noted<string[]>(probe, 'crew', async () => []);
  return (await outsiders(probe.proc, 'net')).filter((process) => !crew.includes(name(process)));
}

/** In the container's network namespace and the machine's mount namespace; in the container's pid namespace, if there is one. */
async function visitor(probe: Probe, service: Process): Promise<Process | undefined> {
  const mounts = await machineNamespace(probe.proc, 'mnt');
  const [net, pid] = await Promise.all([
    namespaceOf(probe.proc, service.pid, 'net'),
    namespaceOf(probe.proc, service.pid, 'pid'),
  ]);
  const found: Process[] = [];
  for (const process of await strangers(probe)) {
    if ((await namespaceOf(probe.proc, process.pid, 'mnt')) !== mounts) continue;
    if ((await namespaceOf(probe.proc, process.pid, 'net')) === net) found.push(process);
  }
  return furthest(found, async (process) => ((await namespaceOf(probe.proc, process.pid, 'pid')) === pid ? 1 : 0));
}

function name(process: Process): string {
  return `${process.pid} ${process.startTime}`;
}

function gone(probe: Probe): Verdict {
  return no(
    'service-gone',
    `${probe.vars.service} is not running`,
    '/proc',
    'the container that was running at the start',
  );
}
