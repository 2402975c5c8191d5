/**
 * Where runtimes differ from what the suite expects: each a case that fails with that runtime, how it fails, and why that is
 * so. Everything else must pass. A difference is either a bug, and then it does not stand here, or has its reason written.
 */
import { CRUN } from './differences-crun.js';

export interface Difference {
  /** `suite > case`. */
  readonly test: string;
  /** The name of the runtime's program. */
  readonly runtime: 'runc' | 'crun' | 'tare-oci';
  /** What the failure says. */
  readonly failure: RegExp;
  readonly reason: string;
  /** A race: the case passes at times. */
  readonly sometimes?: boolean;
  /** Only where cgroups are of this version. */
  readonly cgroups?: 1 | 2;
}

const RUNC_1_1_LACKS: readonly (readonly [test: string, what: string])[] = [
  ['process > a scheduling policy is set', 'process.scheduler'],
  ['process > an unknown scheduling policy is refused', 'process.scheduler'],
  ['process > an I/O priority is set', 'process.ioPriority'],
  ['process > a personality is set', 'linux.personality'],
  ['process > an unknown personality is refused', 'linux.personality'],
  ['process > hostname and domainname are set', 'domainname'],
  ['namespaces > a time namespace has the offsets', 'time namespaces'],
  ['namespaces > a time namespace is joined by its path', 'time namespaces'],
  ['namespaces > time offsets without a time namespace are refused', 'time namespaces'],
  ['namespaces > a network device is moved into the container', 'netDevices'],
  ['namespaces > a network device that is not there is refused', 'netDevices'],
  ['seccomp > an unknown flag is refused', 'any flags of seccomp'],
  ['mounts > an idmapped bind mount shows other owners', 'idmapped mounts'],
  ['mounts > an idmap of a container with a user namespace', 'idmapped mounts'],
];

export const DIFFERENCES: readonly Difference[] = [
  ...CRUN,
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
  ...RUNC_1_1_LACKS.map(
    ([test, what]): Difference => ({
      test,
      runtime: 'runc',
      failure: /./,
      reason: `runc 1.1 does not know ${what} (later versions do)`,
    }),
  ),
  {
    test: 'process > rlimits with a type twice are refused',
    runtime: 'runc',
    failure: /this was not refused/,
    reason: 'runc sets one after the other, and the last holds',
  },
  {
    test: 'commands > an ociVersion that is none is refused',
    runtime: 'runc',
    failure: /this was not refused/,
    reason: 'runc does not look at the version',
  },
  {
    test: 'console > run with a terminal writes lines to a pipe as the program wrote them',
    runtime: 'runc',
    failure: /open \/dev\/tty/,
    reason: 'runc in the foreground wants a terminal of its own session',
  },
  {
    test: 'namespaces > a user namespace is joined by its path',
    runtime: 'runc',
    failure: /no uid mappings found/,
    reason: 'runc 1.1 wants mappings also where the namespace exists and has its own',
  },
  {
    test: 'mounts > a tmpfs with defaults',
    runtime: 'runc',
    failure: /invalid argument/,
    reason: 'runc 1.1 hands this option to the file system',
  },
  ...['slave', 'shared', 'unbindable'].map(
    (value): Difference => ({
      test: `mounts > rootfsPropagation ${value}`,
      runtime: 'runc',
      failure: /Input:\s+''/,
      reason:
        'runc makes the mount that holds the root private, and where the root is a mount point it is that very mount',
    }),
  ),
];
