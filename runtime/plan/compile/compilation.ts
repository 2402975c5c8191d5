/**
 * What every algorithm of the compiler is given: the bundle, what this kernel can do, who calls, and the builder that
 * collects the steps. Nothing here touches the kernel: the same input gives the same plan.
 */

import type { CgroupPlan } from '../../kernel/cgroup/index.js';
import type { Features } from '../../kernel/features.js';
import type { Bundle, Config, NamespaceType, Process } from '../../oci/index.js';
import type { PlanBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import type { MovedDevice } from './net-devices.js';

/** Who makes the container, as far as it decides what can be given away. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  /** The capabilities that the caller could have: permitted and in the bounding set. */
  readonly capabilities: bigint;
  /** In a user namespace that is not the machine's first: root there may not make device nodes. */
  readonly nested?: boolean;
  /** In a user namespace where setgroups(2) was given up. */
  readonly setgroupsDenied?: boolean;
  /** All that this kernel has: what the first process of a new user namespace begins with. */
  readonly allCapabilities: bigint;
  /** The hard limit, by resource number; undefined when the caller may raise it. */
  hardLimit(resource: number): bigint | undefined;
  /** Its own limits now; a caller that is not told of has those of the container. */
  ownLimit?(resource: number): Limit;
  /** How many files it might open when it was started, where that is another limit now: Node raises its own. */
  readonly openFiles?: Limit;
}

/** getrlimit(2). */
export interface Limit {
  readonly soft: bigint;
  readonly hard: bigint;
}

/** What is known of the namespaces that config.json names by a path. user_namespaces(7), ioctl_ns(2). */
export interface JoinedNamespaces {
  /** Those whose path leads to where the caller is already: they are inherited, as if they were not named. */
  readonly own: ReadonlySet<NamespaceType>;
  /** Those that belong to the joined user namespace, or to one below it: only who is in it can surely join them. */
  readonly ofJoinedUser: ReadonlySet<NamespaceType>;
  /** The joined user namespace lets its processes choose their groups: newgidmap(1) has written its map, or root. */
  readonly setgroups?: boolean;
}

/** What is compiled. */
export interface CompileInput {
  readonly bundle: Bundle;
  /** The container's id; names its keyring. */
  readonly id: string;
  readonly features: Features;
  /** What making the container's cgroup takes, or null when it gets none (a user without a delegated cgroup). */
  readonly cgroup: CgroupPlan | null;
  /** The compiled seccomp filter, an array of struct sock_filter; null for none. */
  readonly filter: { readonly program: Uint8Array; readonly flags: number } | null;
  /**
   * What the container waits for before its program starts. `call`: the answer to a call named start, by whoever runs the plan.
   * `socket`: a connection to the given listener, by anyone; the plan ends when the container waits, and stage with it, so that the
   * container becomes a child of the caller's subreaper, as the managers that call an OCI runtime expect. Without, the container is
   * created and started in one go.
   */
  readonly gate?: 'call' | 'socket';
  /** Runs Tare's init as process 1, from the given descriptor `init`. */
  readonly init?: boolean;
  /** How many descriptors of the caller, from 3 on, the program gets as well. They are given under `preservedFd(i)`. */
  readonly preserveFds?: number;
  /** The root is moved and entered by chroot(2), where pivot_root(2) cannot leave an initramfs. */
  readonly noPivot?: boolean;
  /** The session keyring of the caller is kept. */
  readonly noNewKeyring?: boolean;
  /** The name of its own session keyring, which nobody can guess; `_ses.ID` unless told. */
  readonly keyring?: string;
  readonly caller: Caller;
  /** Found out by whoever compiles; without, nothing named by a path is the caller's own, and none belongs to another. */
  readonly joined?: JoinedNamespaces;
  /** The network devices of linux.netDevices, as they are on the host. */
  readonly netDevices?: readonly MovedDevice[];
}

export interface Compilation extends CompileInput {
  readonly config: Config;
  /** The program that `inside` becomes, and its rights: the one of config.json, or what `exec` was given. */
  readonly process: Process;
  readonly builder: PlanBuilder;
  /** Mounts that the bridge has made, as the container could not, by their fields (`mounts[2]`). */
  readonly premade?: Map<string, Slot<'fd'>>;
  /** Sentences for the caller: something was asked for and is done in part. */
  readonly warnings: string[];
}

/** A namespace that the container gets new, not joined. */
export function creates({ config }: { readonly config: Config }, type: NamespaceType): boolean {
  return config.linux?.namespaces?.some((n) => n.type === type && !n.path) ?? false;
}

/** A namespace that it joins by path, and that is not the caller's own. */
export function joins({ config, joined }: Pick<Compilation, 'config' | 'joined'>, type: NamespaceType): boolean {
  const named = config.linux?.namespaces?.some((n) => n.type === type && n.path) ?? false;
  return named && !joined?.own.has(type);
}

/** A namespace of its own, new or joined. */
export function has(compilation: Pick<Compilation, 'config' | 'joined'>, type: NamespaceType): boolean {
  return creates(compilation, type) || joins(compilation, type);
}

/** mknod(2) needs CAP_MKNOD in the machine's first user namespace. Who may not make nodes shows those of the host. */
export function mayMakeNodes(compilation: Compilation): boolean {
  return !has(compilation, 'user') && !compilation.caller.nested;
}
