/** What is known of the validation programs: those that say nothing about a runtime, and why some cannot be passed, by anybody or by Tare. */

/** A runtime of /bin/false passes these too: they are run and shown, and not counted. */
export const VACUOUS: readonly string[] = [
  'linux_ns_path_type',
  'prestart_fail',
  'process_capabilities_fail',
  'process_rlimits_fail',
];

/** Programs that no runtime can pass, and why. They are not run. */
export const BROKEN: Readonly<Record<string, string>> = {
  process_rlimits: 'the checker is a Go program, and Go raises its own soft limit of open files when it starts',
};

const NO_CONTROLLER = 'this machine has not mounted the controller (version 1 of cgroups)';
const NO_WEIGHT = 'this kernel has no blkio.leaf_weight';
const NO_KMEM = 'this kernel has no limit of kernel memory (since Linux 6.1 nobody has)';

const PRESTART =
  'it wants prestart to run at start; engines, runc and the text of the specification on that hook have it at create';

/** Wherever it is run. */
const ANYWHERE: Readonly<Record<string, string>> = {
  linux_mount_label: 'this kernel has no SELinux',
  linux_process_apparmor_profile: 'this kernel has no AppArmor',
  hooks: 'it expects other words than those that its own hooks write: nobody can pass',
  hooks_stdin:
    'it wants the state that prestart is given to say created, as at start; it runs at create, and runc says creating there',
  prestart: PRESTART,
  misc_props: 'it starts a program that is not in the root, and wants create and start to succeed',
  pidfile: 'it kills a program that has ended, and wants that to succeed: by the specification it is an error',
  start: 'it wants start without a program to succeed: by the specification it is an error',
};

/** Why Tare does not pass a program on a machine of this kind. */
export const REASONS: Readonly<Record<string, string>> = {
  ...ANYWHERE,
  linux_cgroups_blkio: NO_WEIGHT,
  linux_cgroups_relative_blkio: NO_WEIGHT,
  linux_cgroups_hugetlb: NO_CONTROLLER,
  linux_cgroups_relative_hugetlb: NO_CONTROLLER,
  linux_cgroups_network: NO_CONTROLLER,
  linux_cgroups_relative_network: NO_CONTROLLER,
  linux_cgroups_memory: NO_KMEM,
  linux_cgroups_relative_memory: NO_KMEM,
  process_capabilities: 'it wants every capability, and the bounding set of this machine lacks CAP_SYS_RESOURCE',
};

const ONLY_V1 = 'it looks for cgroups of version 1, and the machine has version 2 alone: nobody can pass';

/** Why not in a virtual machine with cgroups of version 2. */
export const REASONS_IN_MACHINE: Readonly<Record<string, string>> = {
  ...ANYWHERE,
  ...Object.fromEntries(
    [
      ...['delete_only_create_resources', 'delete_resources'],
      ...['blkio', 'cpus', 'devices', 'hugetlb', 'memory', 'network', 'pids'].flatMap((what) => [
        `linux_cgroups_${what}`,
        `linux_cgroups_relative_${what}`,
      ]),
    ].map((name) => [name, ONLY_V1]),
  ),
};
