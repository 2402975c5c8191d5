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
  {
    test: 'exec > --process can have a umask',
    runtime: 'runc',
    failure: /0022/,
    reason: 'runc 1.1 takes the umask of the config only, not that of a process file',
  },
  ...['run in the order of the specification', 'run once each, also for run'].map(
    (test): Difference => ({
      test: `hooks > ${test}`,
      runtime: 'runc',
      failure: /poststart/,
      reason: 'runc runs poststart at the end of create, before startContainer',
    }),
  ),
  {
    test: 'hooks > poststart gets the state on its standard input',
    runtime: 'runc',
    failure: /created/,
    reason: 'runc runs poststart at the end of create, when the container does not run yet',
  },
  {
    test: 'hooks > a startContainer that fails ends start',
    runtime: 'runc',
    failure: /this was not refused/,
    reason: 'runc start does not wait to see that the program runs',
  },
  {
    test: 'hooks > a poststart that fails is a warning',
    runtime: 'runc',
    failure: /error running hook/,
    reason: 'with runc it is an error of create',
  },
  {
    test: 'hooks > a poststop that fails is a warning',
    runtime: 'runc',
    failure: /next/,
    reason: 'with runc the hooks after it are left out',
  },
];
