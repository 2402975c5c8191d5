/**
 * The journal: what must be undone when the container goes, written before it is done. A failed create, `delete --force`, `gc`
 * and the next start after a crash all replay the same lines, in reverse; each undo may be done any number of times.
 */
import { appendFileSync, readFileSync, rmdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type CgroupPlace, killCgroup, removeCgroups } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import { endProcess, type ProcessIdentity } from '../kernel/process-identity.js';
import { stopScope } from '../kernel/systemd/scope.js';
import type { Scope } from '../kernel/systemd/scope-name.js';
import { claim, claimOf, isFreeFor, releaseClaim } from './cgroup-claim.js';
import { removeOwnTree } from './own-users.js';
import { removeRootPlace } from './root-place.js';
import type { StateDirectory } from './state-directory.js';

export type JournalEntry =
  /** A process that must be gone: stage, or the container's first. */
  | { readonly undo: 'process'; readonly process: ProcessIdentity }
  /** A hook that the container's creation waits for. */
  | { readonly undo: 'hook'; readonly process: ProcessIdentity }
  /** Cgroups to empty and remove, unless the claim to them has become another container's. */
  | { readonly undo: 'cgroups'; readonly places: readonly CgroupPlace[]; readonly claim?: string }
  /** A scope of systemd, whose processes are gone. */
  | { readonly undo: 'scope'; readonly scope: Scope }
  /** Empty folders, or such as only the kernel has filled (resctrl): the last first. */
  | { readonly undo: 'folders'; readonly paths: readonly string[] }
  /** A folder of the container's own, with all that it has written there. */
  | { readonly undo: 'tree'; readonly path: string }
  /** A root that is mounted in the namespace of whoever made it. */
  | { readonly undo: 'root'; readonly path: string };

export function journal(directory: StateDirectory, entry: JournalEntry): void {
  // One write of less than a page, with O_APPEND: a line is there as a whole or not at all.
  appendFileSync(join(directory.path, 'journal'), `${JSON.stringify(entry)}\n`, { mode: 0o600 });
}

/** Announces cgroups, and claims them. @throws TareError `exists` when they are another container's */
export async function journalCgroups(directory: StateDirectory, places: readonly CgroupPlace[]): Promise<void> {
  const path = claimOf(places);
  journal(directory, { undo: 'cgroups', places, ...(path !== undefined && { claim: path }) });
  if (path !== undefined) await claim(path, resolve(directory.path));
}

/** Undoes everything, and removes the state directory. The caller holds its lock. */
export async function undoAll(directory: StateDirectory): Promise<void> {
  for (const entry of readJournal(directory).reverse()) await undo(entry, resolve(directory.path));
  directory.remove();
}

/** Whose processes they are, as far as the journal has come: stage is the first of them, and the container's own the last. */
export function journaledProcesses(directory: StateDirectory): { stage?: ProcessIdentity; init?: ProcessIdentity } {
  const processes = readJournal(directory).flatMap((entry) => (entry.undo === 'process' ? [entry.process] : []));
  return { stage: processes[0], init: processes.at(-1) };
}

/** @throws TareError `protocol` for a broken file */
export function readJournal(directory: StateDirectory): JournalEntry[] {
  const path = join(directory.path, 'journal');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  // What follows the last newline was being written when its writer died: what it announces was never done.
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => parseEntry(line, path));
}

function parseEntry(line: string, path: string): JournalEntry {
  try {
    return JSON.parse(line) as JournalEntry;
  } catch (cause) {
    const why = 'what it has made must be removed by hand';
    throw new TareError('protocol', `${path} is damaged (${(cause as Error).message}): ${why}`, { cause, path });
  }
}

async function undo(entry: JournalEntry, owner: string): Promise<void> {
  switch (entry.undo) {
    case 'process':
    case 'hook':
      // It may use what is undone next. One that does not end now is told of with its cgroup.
      await endProcess(entry.process, 2000);
      return;
    case 'scope':
      return stopScope(entry.scope);
    case 'cgroups':
      if (!isFreeFor(entry.claim, owner)) return;
      await killCgroup(entry.places);
      await removeCgroups(entry.places);
      return releaseClaim(entry.claim, owner);
    case 'folders':
      return entry.paths.toReversed().forEach(removeFolder);
    case 'tree':
      return removeOwnTree(entry.path);
    case 'root':
      return removeRootPlace(entry.path);
  }
}

function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
