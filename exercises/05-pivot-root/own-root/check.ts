/** The process's root directory, whether it is the root of a mount namespace, and the mounts that the process can reach. */
import {
  furthest,
  isNamespaceRoot,
  type MountInfo,
  machineMounts,
  mountAt,
  mountsOf,
  no,
  outsiders,
  type Process,
  type ProcSource,
  processes,
  sameFile,
  text,
  unlessGone,
  yes,
} from '../../../runtime/exercise/probes.js';
import type { Checks, Probe, Verdict } from '../../../runtime/exercise/types.js';

const checks: Checks = {
  'new-root': async (probe) => {
    const expected = `a process whose mount namespace has /srv/${probe.vars.box} as its root`;
    const process = await candidate(probe);
    if (!process) return elsewhere(probe, expected);
    const where = `/proc/${process.pid}/root`;
    if (await sameFile(probe.proc, `${where}/.`, '/.')) {
      return no('machine-root', `the root of ${process.comm} is the machine’s root directory`, where, expected);
    }
    if (!(await isNamespaceRoot(probe.proc, process.pid))) {
      return no('chrooted', `${where}/.. is another directory: there is something above`, where, expected);
    }
    const box = await text(probe.proc, `${where}/etc/box`);
    if (box !== probe.vars.box) return no('wrong-root', `/etc/box in it says ${box ?? 'nothing'}`, where, expected);
    return yes(`the root of ${process.comm} (${process.pid}) is the root of its mount namespace`);
  },

  'own-proc': async (probe) => {
    const process = await candidate(probe);
    if (!process) return vanished();
    const mounts = await mountsOf(probe.proc, process.pid);
    if (hasProc(mounts)) return yes('proc at /proc');
    const mount = mountAt(mounts, '/proc');
    const says = mount ? `${mount.fsType} at /proc` : 'no mount at /proc';
    return no('no-proc', says, `/proc/${process.pid}/mountinfo`, 'a mount of type proc at /proc');
  },

  'old-root-gone': async (probe) => {
    const process = await candidate(probe);
    if (!process) return vanished();
    const mounts = await mountsOf(probe.proc, process.pid);
    const old = await oldRoot(probe.proc, mounts);
    const where = `/proc/${process.pid}/mountinfo`;
    if (!old) return yes(`${mounts.length} mounts, none of them the machine’s root`);
    return no('old-root-visible', `${old.fsType} (the machine’s root) at ${old.mountPoint}`, where, 'no such mount');
  },
};
export default checks;

/** Of the processes in other mount namespaces, the one that is furthest: machine's root, another, its namespace's, the box. */
async function candidate({ proc, vars }: Probe): Promise<Process | undefined> {
  return furthest(await outsiders(proc, 'mnt'), async ({ pid }) => {
    if (await sameFile(proc, `/proc/${pid}/root/.`, '/.')) return 0;
    if (!(await isNamespaceRoot(proc, pid))) return 1;
    if ((await text(proc, `/proc/${pid}/root/etc/box`)) !== vars.box) return 2;
    const mounts = await mountsOf(proc, pid);
    return 3 + (hasProc(mounts) ? 1 : 0) + ((await oldRoot(proc, mounts)) ? 0 : 1);
  });
}

function hasProc(mounts: readonly MountInfo[]): boolean {
  return mountAt(mounts, '/proc')?.fsType === 'proc';
}

/** The mount of the machine's root directory, where it is still there. */
async function oldRoot(proc: ProcSource, mounts: readonly MountInfo[]): Promise<MountInfo | undefined> {
  const machine = mountAt(await machineMounts(proc), '/');
  return mounts.find(
    (mount) => mount.root === machine?.root && mount.major === machine.major && mount.minor === machine.minor,
  );
}

/** Nobody has a mount namespace of his own. Has somebody at least changed his root? */
async function elsewhere(probe: Probe, expected: string): Promise<Verdict> {
  for (const { pid, comm } of await processes(probe.proc)) {
    const there = await unlessGone(() => probe.proc.stat(`/proc/${pid}/root/.`));
    if (!there || (await sameFile(probe.proc, `/proc/${pid}/root/.`, '/.'))) continue;
    const says = `${comm} has another root directory, but is in the machine’s mount namespace`;
    return no('machine-namespace', says, `/proc/${pid}/ns/mnt`, expected);
  }
  return no('no-namespace', 'every process is in the machine’s mount namespace', '/proc/PID/ns/mnt', expected);
}

function vanished(): Verdict {
  return no('no-namespace', 'the shell has ended', '/proc', 'a process in another mount namespace');
}
