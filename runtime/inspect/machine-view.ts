/**
 * What "the machine" is when a process is said to share something with it: the namespaces and root directory of pid 1. Where
 * that may not be looked at (it takes CAP_SYS_PTRACE and all capabilities that pid 1 has, ptrace(2)), those of kthreadd, pid 2,
 * which never leaves the initial namespaces; and failing that the reader's own, which is another thing, so `from` says it.
 */
import { type Place, root } from './details.js';
import { type NamespaceInodes, namespaceInode, namespaceInodes } from './namespaces.js';
import type { ProcSource } from './proc-source.js';
import { unlessRefused } from './read.js';
import { status } from './status.js';

export interface MachineView {
  readonly from: 'pid 1' | 'kthreadd' | 'the reader';
  readonly namespaces: NamespaceInodes;
  readonly root: Place | null;
}

/** Finds the view. @throws TareError `protocol` when /proc says what no kernel says. */
export async function machineView(source: ProcSource): Promise<MachineView> {
  const init = await unlessRefused(view(source, 1, 'pid 1'));
  if (init) return init;
  // Only the initial pid namespace shows kernel threads; elsewhere pid 2 is any process.
  const second = await unlessRefused(status(source, 2));
  if (second?.name === 'kthreadd' && second.parent === 0) {
    const kthreadd = await unlessRefused(view(source, 2, 'kthreadd'));
    if (kthreadd) return kthreadd;
  }
  const self = await unlessRefused(ownPid(source));
  const own = self === null ? null : await unlessRefused(view(source, self, 'the reader'));
  return own ?? { from: 'the reader', namespaces: {}, root: null };
}

async function view(source: ProcSource, pid: number, from: MachineView['from']): Promise<MachineView> {
  await namespaceInode(source, pid, 'user');
  const [namespaces, place] = await Promise.all([namespaceInodes(source, pid), unlessRefused(root(source, pid))]);
  return { from, namespaces, root: place };
}

async function ownPid(source: ProcSource): Promise<number | null> {
  const pid = Number(await source.readlink('/proc/self'));
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}
