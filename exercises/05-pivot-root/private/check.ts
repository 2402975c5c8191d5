/** The propagation of every mount of the service's mount namespace, and what is mounted where: mountinfo of both sides. */
import {
  hold,
  machineMounts,
  mountAt,
  mountsOf,
  no,
  outsiders,
  type Process,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';

const checks: Checks = {
  private: async (probe) => {
    const root = mountAt(await machineMounts(probe.proc), '/');
    if (root?.shared === undefined) {
      const says = 'the mount at / has no shared: field';
      return no('machine-changed', says, '/proc/self/mountinfo', 'the machine’s mounts as they were');
    }
    const service = await program(probe);
    if (!service) return gone(probe);
    const mounts = await mountsOf(probe.proc, service.pid);
    const where = `/proc/${service.pid}/mountinfo`;
    const shared = mounts.find((mount) => mount.shared !== undefined);
    if (shared) {
      return no(
        'shared',
        `${shared.mountPoint} has shared:${shared.shared}`,
        where,
        'neither shared: nor master: in any line',
      );
    }
    const slave = mounts.find((mount) => mount.master !== undefined);
    if (slave) {
      return no(
        'slave',
        `${slave.mountPoint} has master:${slave.master}`,
        where,
        'neither shared: nor master: in any line',
      );
    }
    return yes(`${mounts.length} mounts, each of them private`);
  },

  tmpfs: async (probe) => {
    const service = await program(probe);
    if (!service) return gone(probe);
    const where = `/proc/${service.pid}/mountinfo`;
    const mount = mountAt(await mountsOf(probe.proc, service.pid), place(probe));
    if (mount?.fsType === 'tmpfs') return yes(`tmpfs at ${mount.mountPoint}`);
    const expected = `a tmpfs at ${place(probe)}`;
    if (mount) return no('wrong-type', `${mount.fsType} at ${mount.mountPoint}`, where, expected);
    return no('not-mounted', `no mount at ${place(probe)}`, where, expected);
  },

  'no-leak': async (probe) => {
    const mount = mountAt(await machineMounts(probe.proc), place(probe));
    if (!mount) return yes(`the machine has no mount at ${place(probe)}`);
    const where = '/proc/self/mountinfo, on the machine';
    return no('leaked', `${mount.fsType} at ${mount.mountPoint}`, where, `no mount at ${place(probe)}`);
  },
};
export default checks;

async function program(probe: Probe): Promise<Process | undefined> {
  return hold(probe, 'service', async () =>
    (await outsiders(probe.proc, 'mnt')).filter((process) => process.comm === probe.vars.service),
  );
}

function place(probe: Probe): string {
  return `/mnt/${probe.vars.place}`;
}

function gone(probe: Probe): Verdict {
  return no(
    'service-gone',
    `${probe.vars.service} is not running`,
    '/proc',
    'the process that was running at the start',
  );
}
