/**
 * The words of cgroups: hierarchies as they are found, limits as config.json has them, and what making a cgroup takes, as
 * data that the plan compiler turns into steps. cgroups(7); kernel: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/.
 */

import type { Scope } from '../systemd/scope-name.js';

/** `v1`: only version 1. `hybrid`: version 1 controllers beside a version 2 hierarchy. `v2`: the unified hierarchy. */
export type CgroupLayout = 'v1' | 'hybrid' | 'v2' | 'none';

export interface Hierarchy {
  readonly version: 1 | 2;
  /** `['memory']`, `['cpu', 'cpuacct']`, `['name=systemd']`; on version 2 those of the root's `cgroup.controllers`. */
  readonly controllers: readonly string[];
  /** Where it is mounted; for example `/sys/fs/cgroup/memory`. */
  readonly mountPoint: string;
  /** The directory of our own cgroup: `mountPoint`, or below it. */
  readonly own: string;
}

export interface CgroupHost {
  readonly layout: CgroupLayout;
  readonly hierarchies: readonly Hierarchy[];
}

/** How files are read while a cgroup is planned. The real ones, or a fixture. Nothing is ever written through it. */
export interface CgroupFiles {
  /** The text, or undefined when there is no such file (or none that we may read). */
  read(path: string): string | undefined;
  /** Whether it is a directory. */
  isDirectory(path: string): boolean;
  /** access(2) W_OK: whether we may make cgroups in this directory. */
  isWritable(path: string): boolean;
}

/** `linux.resources` of config.json. Bytes, microseconds; -1 is no limit, and for most fields 0 asks for nothing. config-linux.md */
export interface CgroupLimits {
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    /** Memory and swap together, as version 1 counts. */
    readonly swap?: number;
    readonly kernel?: number;
    readonly kernelTCP?: number;
    /** From 0 to 200; what Go makes of -1 (2^64-1) asks for nothing. */
    readonly swappiness?: number;
    readonly disableOOMKiller?: boolean;
    readonly useHierarchy?: boolean;
    /** An update is refused that would set a limit below what is in use. */
    readonly checkBeforeUpdate?: boolean;
  };
  readonly pids?: { readonly limit?: number };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly burst?: number;
    readonly period?: number;
    readonly realtimeRuntime?: number;
    readonly realtimePeriod?: number;
    readonly idle?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly blockIO?: {
    /** From 10 to 1000. */
    readonly weight?: number;
    readonly leafWeight?: number;
    readonly weightDevice?: readonly (BlockDevice & { readonly weight?: number; readonly leafWeight?: number })[];
    readonly throttleReadBpsDevice?: readonly ThrottledDevice[];
    readonly throttleWriteBpsDevice?: readonly ThrottledDevice[];
    readonly throttleReadIOPSDevice?: readonly ThrottledDevice[];
    readonly throttleWriteIOPSDevice?: readonly ThrottledDevice[];
  };
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[];
  readonly network?: {
    readonly classID?: number;
    readonly priorities?: readonly { readonly name: string; readonly priority: number }[];
  };
  /** By the name of the device. */
  readonly rdma?: Readonly<Record<string, { readonly hcaHandles?: number; readonly hcaObjects?: number }>>;
  readonly devices?: readonly DeviceRule[];
  /** Files of version 2 by name, with their values. */
  readonly unified?: Readonly<Record<string, string>>;
}

interface BlockDevice {
  readonly major: number;
  readonly minor: number;
}

/** Bytes, or operations, per second; 0 takes the limit away. */
interface ThrottledDevice extends BlockDevice {
  readonly rate: number;
}

export interface DeviceRule {
  readonly allow: boolean;
  /** `c`, `b`, or `a` for all (the default). */
  readonly type?: string;
  /** Undefined or -1: any. */
  readonly major?: number;
  readonly minor?: number;
  /** Of the letters `rwm`. */
  readonly access?: string;
  /** The field of config.json that it is from, where the list holds others too. */
  readonly field?: string;
}

export interface CgroupRequest {
  /** `cgroupsPath`: absolute, below the hierarchies' roots; relative, below Tare's own cgroup. */
  readonly path: string;
  readonly limits?: CgroupLimits;
  /**
   * `all` makes a cgroup in every hierarchy, so that the container's cgroup namespace shows nothing else anywhere; `needed`
   * (cheaper by 0.02 to 0.06 ms a hierarchy) only where a limit is, and in the version 2 hierarchy.
   */
  readonly hierarchies?: 'all' | 'needed';
  /**
   * The user, by host id, who is given the cgroup to make others in it: of version 2 alone, since on version 1 that is not safe. For
   * a container with a cgroup namespace of its own that may write to it.
   */
  readonly owner?: number;
  /**
   * systemd makes the cgroup, as a scope, in the hierarchies that it manages: version 2, and its own of version 1. Nobody makes it there
   * before, and what is set there is set once the scope is.
   */
  readonly inScope?: boolean;
  /** Whether device rules may become a program where there is no version 1 controller for them: `Features.deviceProgram`. */
  readonly devicePrograms?: boolean;
}

/** One thing to do, in this order. `inScope`: once systemd has made the scope. */
export type CgroupAction = { readonly inScope?: boolean } & (
  | {
      readonly do: 'mkdir';
      readonly path: string;
      readonly mode: number;
      /** A parent that other containers may share: EEXIST is fine, and it is not removed with this container. */
      readonly shared: boolean;
      readonly field: string;
      readonly why: string;
    }
  | {
      readonly do: 'write';
      readonly path: string;
      readonly value: string;
      /** Nothing that was asked for is lost when the kernel refuses it (EINVAL, ENOENT). */
      readonly optional?: boolean;
      readonly field: string;
      readonly why: string;
    }
  | {
      /** Changes the owner; a file that is not there (ENOENT) has none. */
      readonly do: 'chown';
      readonly path: string;
      readonly uid: number;
      readonly field: string;
      readonly why: string;
    }
  | {
      /** Loads a program and attaches it to the cgroup: see `compileDeviceProgram`. */
      readonly do: 'device-program';
      readonly path: string;
      /** An array of struct bpf_insn. */
      readonly program: Uint8Array;
      readonly field: string;
      readonly why: string;
    }
);

/** Where a cgroup lies in one hierarchy. Plain data: it is kept in the container's state. */
export interface CgroupPlace {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  /** Ours, and ours only: made by the plan, removed with the container. */
  readonly directory: string;
}

export interface CgroupPlan {
  /** Of systemd, where it makes the cgroup. */
  readonly scope?: Scope;
  readonly places: readonly CgroupPlace[];
  readonly actions: readonly CgroupAction[];
  /**
   * How the container's first process gets in. `tasks`: files to open for writing outside, inherited by *inside*, which writes `0` to
   * each while it has one thread and then unshares its cgroup namespace. `into`: a directory for clone3's CLONE_INTO_CGROUP.
   * On hybrid hosts both; on version 2 only `into`; on version 1 only `tasks`.
   */
  readonly tasks: readonly string[];
  readonly into?: string;
  /** For a kernel without CLONE_INTO_CGROUP (before 5.7): instead of `into`, written as `tasks` are; costs 6 to 17 ms. */
  readonly procs?: string;
  /** What this host's cgroups cannot realise, field by field; the caller refuses, or makes up for it in another way. */
  readonly unenforced: readonly Unrealised[];
  /** What means nothing here, and that engines ask for all the same: the caller warns. */
  readonly ignored: readonly Unrealised[];
}

/** A limit that is not set. */
export interface Unrealised {
  /** The config field: `linux.resources.memory.limit`. */
  readonly field: string;
  /** Goes on after "cannot be enforced here:". */
  readonly why: string;
  /** The controller that no cgroup has. */
  readonly controller?: string;
}
