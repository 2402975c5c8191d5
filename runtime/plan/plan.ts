/**
 * The plan: a container as a program. config.json is compiled to a series of steps, each one system call (or one fixed,
 * race-free sequence) with the config field that caused it and a line saying why. TypeScript decides, stage executes:
 * nothing here depends on what the kernel will answer, except through guards and tolerated errnos, which are written down.
 */
import type { StepInputs, StepKind, StepOutputs } from './steps.gen.js';

/** The lanes: *outside* runs in the supervisor, *inside* in the process that becomes the container, *bridge* in between. */
export type Lane = 'outside' | 'bridge' | 'inside';

/** All lanes, in the order in which a plan numbers those that it has: `outside` is always 0. */
export const LANES = ['outside', 'bridge', 'inside'] as const satisfies readonly Lane[];

/** A value that an earlier step produces: a descriptor or a pid. Made by a `PlanBuilder`; its type is checked by the compiler and at encoding. */
export interface Slot<T extends 'fd' | 'pid' = 'fd' | 'pid'> {
  readonly slot: number;
  readonly type: T;
  /** For people: `rootfs`, `proc target`. */
  readonly name: string;
}

export interface StepOf<K extends StepKind> {
  readonly kind: K;
  readonly inputs: StepInputs[K];
  readonly outputs: Partial<StepOutputs[K]>;
  /** Skipped unless this slot is filled. */
  readonly guardIf?: Slot;
  /** Skipped if this slot is filled. */
  readonly guardUnless?: Slot;
  /** Names of errnos (at most two) that leave the outputs empty and let the plan go on. */
  readonly tolerate?: readonly string[];
  /** The config field that caused it: `mounts[2]`, `linux.namespaces`, `default` for what Tare adds by itself. */
  readonly field: string;
  /** One line saying why. */
  readonly why: string;
}

export type Step = { [K in StepKind]: StepOf<K> }[StepKind];

export interface Plan {
  readonly formatVersion: 1;
  readonly slots: readonly Slot[];
  /** The first slots, filled with descriptors that the caller passes: their names, in order. */
  readonly given: readonly string[];
  readonly lanes: Readonly<Partial<Record<Lane, readonly Step[]>>> & { readonly outside: readonly Step[] };
}
