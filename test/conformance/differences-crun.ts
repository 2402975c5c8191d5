/**
 * crun 1.8.1, Debian 12's. Some of these are of its age, others its choice. Tried with cgroups of version 1, and with version 2 as far as
 * docs/oci-runtime.md tells.
 */
import type { Difference } from './differences.js';

interface Group {
  readonly reason: string;
  readonly failure: RegExp;
  readonly tests: readonly string[];
  readonly sometimes?: boolean;
  readonly cgroups?: 1 | 2;
}

const REFUSED_IN_OTHER_WORDS = /refused for another reason/;
const NOT_REFUSED = /this was not refused/;

const GROUPS: readonly Group[] = [
  {
    reason: 'it does not have the command or the option',
    failure: /unknown command|unrecognized option|Unexpected end of JSON|still not so/,
    tests: [
      'commands > features says what the runtime knows',
      'lifecycle > events of what does not exist is refused',
      'lifecycle > run --keep leaves a stopped container',
      'kill and pause > exec --ignore-paused waits in a paused container',
      'exec > --additional-gids gives further groups',
      'resources > events --stats tells once what the container uses',
      'resources > events tells again and again, until the container is deleted',
      'resources > events tells of a process that was killed for memory',
    ],
  },
  {
    reason: 'this version does not know what it is about (later ones know most of it)',
    failure: /./,
    tests: [
      'process > a scheduling policy is set',
      'process > an unknown scheduling policy is refused',
      'process > an I/O priority is set',
      'mounts > a tmpfs with nosymfollow',
      'mounts > rnosymfollow holds for the mounts below too',
      'namespaces > a time namespace has the offsets',
      'namespaces > a time namespace is joined by its path',
      'namespaces > time offsets without a time namespace are refused',
      'namespaces > a network device is moved into the container',
      'namespaces > a network device that is not there is refused',
      'seccomp > an unknown flag is refused',
    ],
  },
  {
    reason: 'it refuses too, in words that do not say why',
    failure: REFUSED_IN_OTHER_WORDS,
    tests: [
      'lifecycle > a second start is refused',
      'lifecycle > a stopped container is not started',
      'lifecycle > args may not be empty',
      'kill and pause > a stopped container cannot be killed',
      'exec > a process file without args is refused',
      'namespaces > a user namespace without mappings is refused',
      'seccomp > an unknown operator is refused',
    ],
  },
  {
    reason: 'it does not refuse it',
    failure: NOT_REFUSED,
    tests: [
      'lifecycle > the id "a b" is refused',
      'lifecycle > the id "a\\nb" is refused',
      'lifecycle > a created container is not deleted',
      'kill and pause > pause and resume out of turn are refused',
      'console > --console-socket without a terminal is refused',
      'hooks > a timeout of 0 or less is refused',
      'mounts > an unknown rootfsPropagation is refused',
      'mounts > a device of an unknown type is refused',
      'namespaces > a type twice is refused',
      'seccomp > SCMP_ACT_NOTIFY without a listenerPath is refused',
    ],
  },
  {
    reason: 'it takes any working directory, and runs the program',
    failure: /no end after/,
    tests: ['lifecycle > cwd must be absolute'],
  },
  {
    reason: 'it says nothing about what others warn of or refuse',
    failure: /falsy|false == true|^$/,
    tests: ['exec > an unknown capability is refused', 'resources > two containers may not have one cgroup'],
  },
  {
    reason: 'its log is in a form of its own',
    failure: /did not match/,
    tests: ['commands > an error is a line of text in the log', 'commands > --debug says more, in the log'],
  },
  {
    reason: 'it sets one after the other, and the last holds',
    failure: /this was not refused/,
    tests: ['process > rlimits with a type twice are refused'],
  },
  {
    reason: 'its rootless config has a network namespace of its own',
    failure: /falsy|false == true/,
    tests: ['commands > spec --rootless writes one for who is not root'],
  },
  {
    reason: 'ps shows pids only',
    failure: /did not match/,
    tests: ['lifecycle > ps shows them as ps does, with its options'],
  },
  {
    reason: 'it takes names of signals in capitals only, and sends something else for others',
    failure: /has not ended/,
    tests: ['kill and pause > kill usr2 sends SIGUSR2'],
  },
  {
    reason: 'the process that waits for start has no handler of these signals, and is process 1',
    failure: /has not ended/,
    tests: ['TERM', 'INT', 'HUP'].map((signal) => `kill and pause > a created container ends with SIG${signal}`),
  },
  {
    reason: 'the container stays frozen: only the freezer of version 2 lets SIGKILL through',
    cgroups: 1,
    failure: /has not ended/,
    tests: ['kill and pause > a paused container is killed by SIGKILL'],
  },
  {
    reason:
      'exec begins with less of the container’s process: not its directory, its limits or its score; --env and --cap replace',
    failure: /strictly equal|not found in \$PATH/,
    tests: [
      "exec > has the container's environment and working directory",
      'exec > --env adds to the environment, and replaces',
      'exec > --cap adds capabilities',
      "exec > has the container's rlimits and oom_score_adj",
    ],
  },
  {
    reason: 'in the foreground it wants a terminal, and lasts while its input does',
    failure: /no end after|tcgetattr/,
    tests: [
      'console > run with a terminal passes it through',
      'console > run with a terminal writes lines to a pipe as the program wrote them',
    ],
  },
  {
    reason:
      'it runs poststart before startContainer, gives other states to hooks, and the bundle as the container sees it',
    failure: /strictly|exit code 143/,
    sometimes: true,
    tests: [
      'hooks > run in the order of the specification',
      'hooks > run once each, also for run',
      ...['prestart', 'createRuntime', 'createContainer', 'startContainer'].map(
        (name) => `hooks > ${name} gets the state on its standard input`,
      ),
    ],
  },
  {
    reason: 'start does not wait to see that the program runs',
    failure: NOT_REFUSED,
    tests: ['hooks > a startContainer that fails ends start'],
  },
  {
    reason: 'a late hook that fails ends the container',
    failure: /143 !== 0|strictly equal|did not match/,
    tests: ['hooks > a poststart that fails is a warning', 'hooks > a poststop that fails is a warning'],
  },
  {
    reason: 'it leaves out LISTEN_PID',
    failure: /strictly equal/,
    tests: ['process > LISTEN_FDS hands on sockets of systemd'],
  },
  {
    reason: 'an option does not take back an earlier one',
    failure: /did not match/,
    tests: ['ro,rw', 'nosuid,suid', 'nodev,dev', 'noexec,exec', 'noatime,atime'].map(
      (options) => `mounts > a tmpfs with ${options}`,
    ),
  },
  {
    reason: 'it asks the kernel for a mode of access times without naming the others to be off',
    failure: /mount_setattr/,
    tests: ['rnoatime', 'rnodiratime', 'rstrictatime'].map(
      (option) => `mounts > ${option} holds for the mounts below too`,
    ),
  },
  {
    reason: 'the root is private then',
    failure: /did not match/,
    tests: ['mounts > rootfsPropagation slave'],
  },
  {
    reason: 'its ociVersion is empty in the state of the seccomp agent',
    failure: /did not match/,
    tests: ['seccomp > a listener gets the state of the container and the descriptor'],
  },
];

export const CRUN: readonly Difference[] = GROUPS.flatMap(({ reason, tests, ...how }) =>
  tests.map((test): Difference => ({ test, runtime: 'crun', reason: `crun 1.8: ${reason}`, ...how })),
);
