/**
 * Where runtimes differ from what the suite expects: each a case that fails with that runtime, how it fails, and why that is
 * so. Everything else must pass. A difference is either a bug, and then it does not stand here, or has its reason written.
 */

export interface Difference {
  /** `suite > case`. */
  readonly test: string;
  /** The name of the runtime's program. */
  readonly runtime: 'runc' | 'crun' | 'tare-oci';
  /** What the failure says. */
  readonly failure: RegExp;
  readonly reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    test: 'lifecycle > a created container is not deleted',
    runtime: 'runc',
    failure: /this was not refused/,
    reason: 'runc deletes what was only created; the specification allows it for what has stopped',
  },
];
