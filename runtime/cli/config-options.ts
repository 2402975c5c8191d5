/**
 * The options of `docker run` that change a field or two of config.json, each under the name that people know, and those that Tare does not have: they are
 * refused by a sentence that says what there is instead, rather than as a word that nobody knows.
 * https://docs.docker.com/reference/cli/docker/container/run/
 */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { Option } from 'commander';
import { ALL_CAPABILITIES, capabilityMask, capabilityNames, DEFAULT_CAPABILITIES } from '../kernel/capabilities.js';
import { TareError } from '../kernel/error.js';
import { RLIM_INFINITY, RLIMITS } from '../kernel/rlimits.js';
import { defaultProfile } from '../kernel/seccomp/index.js';
import type { Config } from '../oci/index.js';
import { collect } from './collect.js';
import { parseSize } from './sizes.js';

export interface ConfigOptions {
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly securityOpt?: readonly string[];
  readonly device?: readonly string[];
  readonly groupAdd?: readonly string[];
  readonly label?: readonly string[];
  readonly network?: string;
  readonly oomScoreAdj?: string;
  readonly shmSize?: string;
  readonly sysctl?: readonly string[];
  readonly ulimit?: readonly string[];
}

/** Adds them to a command. */
export function addConfigOptions(command: Command): Command {
  command
    .option('--cap-add <capability>', 'give it a capability: NET_ADMIN, or ALL', collect)
    .option('--cap-drop <capability>', 'take one away; ALL and then --cap-add gives only those', collect)
    .option('--security-opt <option>', 'seccomp=unconfined, or no-new-privileges=false', collect)
    .option('--device <path[:path[:rwm]]>', 'give it a device of the host', collect)
    .option('--group-add <gid>', 'a further group of its user, by number', collect)
    .option('-l, --label <name=value>', 'an annotation of the container', collect)
    .option('--network <none|host>', 'its own, with the loopback only, or that of the host; none unless told')
    .option('--oom-score-adj <number>', 'how soon it is killed when memory is short: -1000 to 1000')
    .option('--shm-size <size>', 'of /dev/shm; 64m unless told')
    .option('--sysctl <name=value>', 'a kernel setting of its namespaces: net.ipv4.ip_forward=1', collect)
    .option('--ulimit <name=soft[:hard]>', 'a limit of its processes: nofile=1024:2048', collect);
  for (const [flags, why] of NOT_HERE) refuseOption(command, flags, why);
  return command;
}

/** The config with what they say. @throws TareError `usage` */
export function withConfigOptions(config: Config, options: ConfigOptions): Config {
  return CHANGES.reduce((changed, change) => change(changed, options), config);
}

/** Names of the fields, and how they are written. */
export const CONFIG_OPTIONS: readonly (readonly [keyof ConfigOptions, string])[] = [
  ['capAdd', '--cap-add'],
  ['capDrop', '--cap-drop'],
  ['securityOpt', '--security-opt'],
  ['device', '--device'],
  ['groupAdd', '--group-add'],
  ['label', '--label'],
  ['network', '--network'],
  ['oomScoreAdj', '--oom-score-adj'],
  ['shmSize', '--shm-size'],
  ['sysctl', '--sysctl'],
  ['ulimit', '--ulimit'],
];

const NO_NETWORK = 'Tare has no network but --network none and --network host yet';
const FOREGROUND = 'a container of Tare ends with its terminal, and nothing of it is kept: use a shell’s "&", or tmux';
const NO_LOGS = 'what a container prints goes to where tare’s own output goes, and is not kept';

const NOT_HERE: readonly (readonly [string, string])[] = [
  ['-d, --detach', FOREGROUND],
  ['--restart <when>', FOREGROUND],
  ['-p, --publish <ports>', NO_NETWORK],
  ['-P, --publish-all', NO_NETWORK],
  ['--expose <port>', NO_NETWORK],
  ['--dns <server>', NO_NETWORK],
  ['--add-host <host:ip>', `${NO_NETWORK}; -v FILE:/etc/hosts:ro gives it names`],
  ['--ip <address>', NO_NETWORK],
  ['--mac-address <address>', NO_NETWORK],
  ['--link <container>', NO_NETWORK],
  ['--log-driver <name>', NO_LOGS],
  ['--log-opt <option>', NO_LOGS],
  ['--volumes-from <container>', 'show a folder of the host to both: -v ./folder:/path'],
  ['--volume-driver <name>', 'there are folders of the host only: -v ./folder:/path'],
  ['--privileged', 'say what it needs: --cap-add ALL, --security-opt seccomp=unconfined, --device PATH'],
  ['--stop-signal <signal>', '"tare stop --signal" and "tare kill" send any; without one they send that of the image'],
  ['--stop-timeout <seconds>', '"tare stop --time" says it'],
  ['--gpus <which>', 'give it the devices by --device'],
  ['--pid <which>', 'its processes are its own; a bundle may join a namespace, by linux.namespaces of its config.json'],
  ['--ipc <which>', 'its memory is its own; a bundle may join a namespace, by linux.namespaces of its config.json'],
  ['--uts <which>', 'its host name is its own: --hostname; a bundle may join a namespace'],
];

function refuseOption(command: Command, flags: string, why: string): void {
  const option = new Option(flags).hideHelp();
  command.addOption(option);
  command.on(`option:${option.name()}`, () => {
    throw new TareError('unsupported', `${option.long}: ${why}`);
  });
}

type Change = (config: Config, options: ConfigOptions) => Config;

const CHANGES: readonly Change[] = [
  (config, { capAdd, capDrop }) => (capAdd || capDrop ? withCapabilities(config, capAdd ?? [], capDrop ?? []) : config),
  (config, { securityOpt = [] }) => securityOpt.reduce(withSecurity, config),
  (config, { device = [] }) => device.reduce(withDevice, config),
  (config, { groupAdd }) => {
    if (!groupAdd || !config.process) return config;
    const { user } = config.process;
    const additionalGids = [
      ...(user.additionalGids ?? []),
      ...groupAdd.map((text) => numberOf('--group-add', text, 0)),
    ];
    return { ...config, process: { ...config.process, user: { ...user, additionalGids } } };
  },
  (config, { label }) =>
    label ? { ...config, annotations: { ...config.annotations, ...pairs('--label', label, '') } } : config,
  (config, { network }) => (network === undefined ? config : withNetwork(config, network)),
  (config, { oomScoreAdj }) =>
    oomScoreAdj === undefined || !config.process
      ? config
      : {
          ...config,
          process: { ...config.process, oomScoreAdj: numberOf('--oom-score-adj', oomScoreAdj, -1000, 1000) },
        },
  (config, { shmSize }) => (shmSize === undefined ? config : withShm(config, parseSize('--shm-size', shmSize))),
  (config, { sysctl }) =>
    sysctl
      ? { ...config, linux: { ...config.linux, sysctl: { ...config.linux?.sysctl, ...pairs('--sysctl', sysctl) } } }
      : config,
  (config, { ulimit }) =>
    ulimit && config.process ? { ...config, process: { ...config.process, rlimits: ulimit.map(limitOf) } } : config,
];

/** As Docker has it: what is dropped by name is gone, whatever else is said; ALL is every one, to begin with or to begin without. */
function withCapabilities(config: Config, add: readonly string[], drop: readonly string[]): Config {
  const { process } = config;
  if (!process) return config;
  const isAll = (name: string) => name.toUpperCase() === 'ALL';
  const dropped = capabilityMask(drop.filter((name) => !isAll(name)));
  const begin = drop.some(isAll) ? 0n : capabilityMask(DEFAULT_CAPABILITIES);
  const mask = (add.some(isAll) ? ALL_CAPABILITIES : begin | capabilityMask(add)) & ~dropped;
  const names = capabilityNames(mask);
  const isRoot = process.user.uid === 0;
  return {
    ...config,
    process: {
      ...process,
      capabilities: {
        ...process.capabilities,
        bounding: names,
        permitted: isRoot ? names : [],
        effective: isRoot ? names : [],
      },
    },
    // What the filter lets pass goes with what it may do.
    linux: { ...config.linux, seccomp: defaultProfile({ capabilities: names }) },
  };
}

function withSecurity(config: Config, option: string): Config {
  const [, name = '', value = 'true'] = /^([^=:]+)(?:[=:](.*))?$/s.exec(option) ?? [];
  if (name === 'no-new-privileges' && ['true', 'false'].includes(value))
    return config.process ? { ...config, process: { ...config.process, noNewPrivileges: value === 'true' } } : config;
  if (name === 'seccomp' && value === 'unconfined') {
    const { seccomp: _, ...linux } = config.linux ?? {};
    return { ...config, linux };
  }
  if (name === 'apparmor' && value === 'unconfined') return config;
  throw new TareError(
    'usage',
    `--security-opt ${option}: must be seccomp=unconfined or no-new-privileges[=false]; a bundle’s config.json may have a profile of its own`,
  );
}

function withDevice(config: Config, option: string): Config {
  const [host = '', second, third] = option.split(':');
  const [path, access] = second?.startsWith('/') ? [second, third ?? 'rwm'] : [host, second ?? 'rwm'];
  if (!host.startsWith('/') || !/^[rwm]{1,3}$/.test(access))
    throw new TareError('usage', `--device ${option}: must be /dev/x, /dev/x:/dev/y or /dev/x:/dev/y:rwm`);
  const facts = statSync(host, { throwIfNoEntry: false });
  const type = facts?.isCharacterDevice() ? 'c' : facts?.isBlockDevice() ? 'b' : undefined;
  if (!facts || !type) throw new TareError('usage', `--device ${option}: ${host} is no device`);
  const [major, minor] = numbersOf(BigInt(facts.rdev));
  const { linux = {} } = config;
  const rules = linux.resources?.devices;
  return {
    ...config,
    linux: {
      ...linux,
      devices: [
        ...(linux.devices ?? []),
        { path, type, major, minor, fileMode: facts.mode & 0o777, uid: facts.uid, gid: facts.gid },
      ],
      resources: {
        ...linux.resources,
        ...(rules && { devices: [...rules, { allow: true, type, major, minor, access }] }),
      },
    },
  };
}

/** As <sys/sysmacros.h> takes them apart. makedev(3) */
function numbersOf(device: bigint): [number, number] {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  return [Number(major), Number(minor & 0xffff_ffffn)];
}

function withNetwork(config: Config, network: string): Config {
  if (network === 'none') return config;
  if (network !== 'host') throw new TareError('unsupported', `--network ${network}: ${NO_NETWORK}`);
  const namespaces = config.linux?.namespaces?.filter(({ type }) => type !== 'network');
  const taken = new Set(config.mounts?.map(({ destination }) => destination));
  // With the network come the names in it.
  const names = ['/etc/resolv.conf', '/etc/hosts']
    .filter((path) => !taken.has(path) && statSync(path, { throwIfNoEntry: false })?.isFile())
    .map((path) => ({ destination: path, type: 'bind', source: path, options: ['bind', 'ro', 'rprivate'] }));
  return { ...config, mounts: [...(config.mounts ?? []), ...names], linux: { ...config.linux, namespaces } };
}

function withShm(config: Config, bytes: number): Config {
  const mounts = config.mounts?.map((mount) =>
    mount.destination === '/dev/shm' && mount.type === 'tmpfs'
      ? { ...mount, options: [...(mount.options ?? []).filter((one) => !one.startsWith('size=')), `size=${bytes}`] }
      : mount,
  );
  return { ...config, ...(mounts && { mounts }) };
}

function limitOf(text: string): { type: (typeof RLIMITS)[number]; soft: bigint; hard: bigint } {
  const [, name = '', soft = '', hard = soft] = /^(\w+)=(-1|\d{1,19})(?::(-1|\d{1,19}))?$/.exec(text) ?? [];
  const type = RLIMITS.find((one) => one === `RLIMIT_${name.toUpperCase()}`);
  if (type === undefined)
    throw new TareError(
      'usage',
      `--ulimit ${text}: must be NAME=SOFT[:HARD], such as nofile=1024:2048; -1 is no limit`,
    );
  const value = (digits: string) => (digits === '-1' ? RLIM_INFINITY : BigInt(digits));
  return { type, soft: value(soft), hard: value(hard) };
}

/** `name=value`; without `alone` each needs its value. */
function pairs(option: string, all: readonly string[], alone?: string): Record<string, string> {
  const made: [string, string][] = all.map((text) => {
    const at = text.indexOf('=');
    if (at === 0 || text === '' || (at < 0 && alone === undefined))
      throw new TareError('usage', `${option} ${text}: must be name=value`);
    return at < 0 ? [text, alone as string] : [text.slice(0, at), text.slice(at + 1)];
  });
  return Object.fromEntries(made);
}

function numberOf(option: string, text: string, least: number, most = 2 ** 32 - 2): number {
  const number = Number(text);
  if (!/^-?\d+$/.test(text) || number < least || number > most)
    throw new TareError('usage', `${option} ${text}: must be a number from ${least} to ${most}`);
  return number;
}
