/**
 * The namespaces of a process: the links in /proc/PID/ns, whose numbers are inodes of nsfs. Two processes are in the same
 * namespace exactly when the numbers are equal (namespaces(7)).
 */
import type { ProcSource } from './proc-source.js';
import { errorCode, malformed, readLink } from './read.js';

export const NAMESPACE_TYPES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'] as const;
export type NamespaceType = (typeof NAMESPACE_TYPES)[number];

/** Where the children of a process will be, which after unshare(2) or setns(2) is not where it is itself. */
export const CHILD_NAMESPACE_TYPES = ['pid_for_children', 'time_for_children'] as const;
export type NamespaceLink = NamespaceType | (typeof CHILD_NAMESPACE_TYPES)[number];

/** Inode by type. A type is missing where the kernel lacks it, and for a zombie, which has left its namespaces. */
export type NamespaceInodes = Readonly<Partial<Record<NamespaceLink, number>>>;

// #region namespace-inode
/**
 * The inode of one namespace.
 *
 * @throws TareError `not-found` when there is no such process or type, `permission` without ptrace access (ptrace(2)).
 */
export async function namespaceInode(source: ProcSource, pid: number, type: NamespaceLink): Promise<number> {
  return parseLink(await readLink(source, pid, `ns/${type}`), type);
}
// #endregion

/** All of them. @throws TareError `permission`; a process that is gone has none. */
export async function namespaceInodes(source: ProcSource, pid: number): Promise<NamespaceInodes> {
  const links = [...NAMESPACE_TYPES, ...CHILD_NAMESPACE_TYPES];
  const found = await Promise.all(
    links.map(async (type) => {
      try {
        return [type, await namespaceInode(source, pid, type)] as const;
      } catch (error) {
        if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return undefined;
        throw error;
      }
    }),
  );
  return Object.fromEntries(found.filter((pair) => pair !== undefined));
}

// #region compare-namespaces
/** The types in which both are in the same namespace. A type that either lacks is in neither list. */
export function compareNamespaces(
  a: NamespaceInodes,
  b: NamespaceInodes,
): { shared: NamespaceType[]; different: NamespaceType[] } {
  const both = NAMESPACE_TYPES.filter((type) => a[type] !== undefined && b[type] !== undefined);
  return { shared: both.filter((type) => a[type] === b[type]), different: both.filter((type) => a[type] !== b[type]) };
}
// #endregion

/** The types of namespace that two processes share, by facts that were read before. */
export function shareNamespaces(
  a: { namespaces: NamespaceInodes },
  b: { namespaces: NamespaceInodes },
): NamespaceType[] {
  return compareNamespaces(a.namespaces, b.namespaces).shared;
}

/** Which namespaces two processes share, read now. @throws TareError `not-found`, `permission`. */
export async function sharedNamespaces(source: ProcSource, a: number, b: number): Promise<NamespaceType[]> {
  // One link by itself first, so that a process that is gone is an error and not an empty list.
  await Promise.all([namespaceInode(source, a, 'user'), namespaceInode(source, b, 'user')]);
  const [first, second] = await Promise.all([namespaceInodes(source, a), namespaceInodes(source, b)]);
  return compareNamespaces(first, second).shared;
}

/** `mnt:[4026531841]`; the link for children bears the plain type's name. */
function parseLink(text: string, type: NamespaceLink): number {
  const match = /^([a-z]+):\[(\d{1,15})\]$/.exec(text);
  if (match?.[1] !== type.replace('_for_children', '')) throw malformed(`/proc/PID/ns/${type}`, text);
  return Number(match[2]);
}
