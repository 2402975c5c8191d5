/** What a build tells while it goes on: its steps, what they print, and how they end. */

/** A step of a build: an instruction of a stage, or what Tare does besides. */
export interface StepInfo {
  /** From 1, in the order in which they begin. */
  readonly number: number;
  /** The stage's name, or `stage-N`; undefined of what belongs to none, such as writing the image. */
  readonly stage?: string;
  /** Which instruction of its stage it is, from 1, and how many there are. */
  readonly index?: number;
  readonly total?: number;
  /** As the Dockerfile has it, in one line. Hostile: to be escaped where it is shown. */
  readonly text: string;
}

/** What happens to a step. `ms` is the time that it took, in milliseconds. */
export type BuildEvent =
  | { readonly kind: 'started'; readonly step: StepInfo }
  /** Bytes, as a program has written them. */
  | { readonly kind: 'output'; readonly step: StepInfo; readonly data: Uint8Array }
  /** A sentence, such as how much of a layer is there. */
  | { readonly kind: 'status'; readonly step: StepInfo; readonly text: string }
  | { readonly kind: 'cached'; readonly step: StepInfo }
  | { readonly kind: 'done'; readonly step: StepInfo; readonly ms: number }
  | { readonly kind: 'failed'; readonly step: StepInfo; readonly ms: number }
  | { readonly kind: 'warning'; readonly text: string };

/** Called as it happens, for several steps in turn. */
export type OnBuildEvent = (event: BuildEvent) => void;
