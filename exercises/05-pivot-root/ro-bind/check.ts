/** The mounts of the learner's shell, and those of the machine compared with what they were at the start. */
import {
  furthest,
  type MountInfo,
  machineMounts,
  mountAt,
  mountsOf,
  no,
  noted,
  outsiders,
  type Process,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';

const checks: Checks = {
  'read-only': async (probe) => {
    await atStart(probe);
    const shell = await sandbox(probe);
    if (!shell) return nobody();
    const mount = mountAt(await mountsOf(probe.proc, shell.pid), data(probe));
    const where = `/proc/${shell.pid}/mountinfo`;
    const options = mount?.options.join(',') ?? 'no mount';
    if (mount?.options.includes('ro')) return yes(`${data(probe)} has ${options}`);
    return no(
      'writable',
      `${data(probe)} has ${options}`,
      where,
      `ro among the options of the mount at ${data(probe)}`,
    );
  },

  hidden: async (probe) => {
    const shell = await sandbox(probe);
    if (!shell) return nobody();
    const path = `/srv/${probe.vars.secret}`;
    const mount = mountAt(await mountsOf(probe.proc, shell.pid), path);
    const expected = `an empty tmpfs at ${path}`;
    if (mount?.fsType !== 'tmpfs')
      return no('visible', `no tmpfs at ${path}`, `/proc/${shell.pid}/mountinfo`, expected);
    const files = await probe.proc.readdir(`/proc/${shell.pid}/root${path}`);
    if (files.length > 0) return no('not-empty', `${files.length} files in it`, path, expected);
    return yes(`an empty tmpfs at ${path}`);
  },

  'machine-same': async (probe) => {
    const before = await atStart(probe);
    const now = await machineMounts(probe.proc);
    const where = '/proc/self/mountinfo, on the machine';
    const expected = `the ${before.length} mounts of the start`;
    const added = now.find((mount) => !before.some((other) => other.id === mount.id));
    if (added) return no('mount-added', `${added.fsType} at ${added.mountPoint} is new`, where, expected);
    const gone = before.find((mount) => !now.some((other) => other.id === mount.id));
    if (gone) return no('mount-gone', `${gone.fsType} at ${gone.mountPoint} is missing`, where, expected);
    for (const mount of now) {
      const old = before.find((other) => other.id === mount.id) as MountInfo;
      if (mount.superOptions.includes('ro') && !old.superOptions.includes('ro')) {
        const says = `the file system at ${mount.mountPoint} is read-only`;
        return no('file-system-read-only', says, `${where}, last field`, old.superOptions.join(','));
      }
      if (mount.options.join() !== old.options.join()) {
        const says = `${mount.mountPoint} has ${mount.options.join(',')}`;
        return no('options-changed', says, where, old.options.join(','));
      }
    }
    return yes(expected);
  },
};
export default checks;

async function atStart(probe: Probe): Promise<readonly MountInfo[]> {
  return noted(probe, 'mounts', () => machineMounts(probe.proc));
}

/** A process in another mount namespace; the one that has more of what is asked, if there are several. */
async function sandbox(probe: Probe): Promise<Process | undefined> {
  return furthest(await outsiders(probe.proc, 'mnt'), async ({ pid }) => {
    const mounts = await mountsOf(probe.proc, pid);
    const readOnly = mountAt(mounts, data(probe))?.options.includes('ro');
    const hidden = mountAt(mounts, `/srv/${probe.vars.secret}`)?.fsType === 'tmpfs';
    return (readOnly ? 1 : 0) + (hidden ? 1 : 0);
  });
}

function data(probe: Probe): string {
  return `/srv/${probe.vars.data}`;
}

function nobody(): Verdict {
  const says = 'every process is in the machine’s mount namespace';
  return no('no-namespace', says, '/proc/PID/ns/mnt', 'a process in another mount namespace');
}
