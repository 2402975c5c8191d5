/**
 * Starts QEMU: a microvm without firmware, network, monitor or display, as a user id of its own, with QEMU's seccomp sandbox on. It is
 * given descriptors, never paths or sockets in the file system: images, RAM and state are inherited, and so are the two
 * conversations (the agent's virtio-serial port, QMP). It dies with its parent (PR_SET_PDEATHSIG).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { TareError } from '../kernel/error.js';
import type { Image } from './image/index.js';

export type Accelerator = 'kvm' | 'tcg';

export interface QemuConfig {
  readonly image: Image;
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  /** The host's time stamp counter; without it some boots hang in the calibration against a timer. */
  readonly tscKhz: number;
  /** The user and group id that QEMU runs as, where the caller is root. */
  readonly uid: number;
  /** RAM in a file: shared with the file (while a snapshot is made), or a private copy of it. Anonymous without it. */
  readonly ram?: { readonly path: string; readonly shared: boolean };
  /** Device state to go on from; the machine is then paused until it has been loaded (see snapshot.ts). */
  readonly state?: string;
}

export interface QemuProcess {
  readonly child: ChildProcess;
  readonly agent: Duplex;
  readonly control: Duplex;
  /** The last of what the guest's kernel and QEMU itself have printed. */
  lastWords(): string;
  /** The QEMU-side number of the state's descriptor. */
  readonly stateFd: number | undefined;
}

const AGENT_FD = 3;
const CONTROL_FD = 4;
const CONSOLE_FD = 5;
const FIRST_FILE_FD = 6;
const KEPT_OUTPUT = 16384;

/** The full QEMU: Debian's smaller one for microvm alone was built without the seccomp sandbox. */
export function qemuProgram(): string {
  for (const folder of (process.env.PATH ?? '/usr/bin').split(':')) {
    const path = join(folder, 'qemu-system-x86_64');
    if (existsSync(path)) return path;
  }
  throw new TareError('not-found', 'qemu-system-x86_64 is not installed (Debian: qemu-system-x86)');
}

/** The command line; `file` gives the path under which QEMU finds a file that it inherits. */
export function qemuArguments(config: QemuConfig, file: (path: string, writable?: boolean) => string): string[] {
  const { image, accelerator, memoryMiB, ram } = config;
  const memory = ram
    ? `memory-backend-file,id=ram,size=${memoryMiB}M,mem-path=${file(ram.path, true)},share=${ram.shared ? 'on' : 'off'}`
    : `memory-backend-ram,id=ram,size=${memoryMiB}M`;
  return [
    ...['-M', 'microvm,memory-backend=ram', '-object', memory, '-m', `${memoryMiB}M`, '-smp', '1'],
    ...['-accel', accelerator, '-cpu', accelerator === 'kvm' ? 'host' : 'max'],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-nic', 'none'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-kernel', file(image.kernel), '-initrd', file(image.initramfs), '-append', kernelCommandLine(config)],
    ...image.disks.flatMap((path, i) => [
      ...[
        '-blockdev',
        `driver=file,node-name=file${i},filename=${file(path)},read-only=on,auto-read-only=off,locking=off`,
      ],
      ...['-blockdev', `driver=raw,node-name=disk${i},file=file${i},read-only=on`],
      ...['-device', `virtio-blk-device,drive=disk${i}`],
    ]),
    ...['-device', 'virtio-serial-device', '-chardev', `socket,id=agent,fd=${AGENT_FD}`],
    ...['-device', 'virtserialport,chardev=agent,name=org.tare.agent'],
    ...['-chardev', `socket,id=control,fd=${CONTROL_FD}`, '-mon', 'chardev=control,mode=control'],
    ...['-chardev', `socket,id=console,fd=${CONSOLE_FD}`, '-serial', 'chardev:console'],
    ...(config.state ? ['-incoming', 'defer'] : []),
  ];
}

/** Starts it; what it needs is open when this returns, so the files may be removed. */
export function startQemu(config: QemuConfig): QemuProcess {
  const files: number[] = [];
  const file = (path: string, writable = false) => {
    files.push(openSync(path, writable ? 'r+' : 'r'));
    return `/proc/self/fd/${FIRST_FILE_FD + files.length - 1}`;
  };
  try {
    const args = qemuArguments(config, file);
    const stateFd = config.state === undefined ? undefined : FIRST_FILE_FD + files.length;
    if (config.state !== undefined) file(config.state);
    const [program, ...before] = confinement(config);
    const child = spawn(program as string, [...before, qemuProgram(), ...args], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', ...files],
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
      cwd: '/',
    });
    // Node makes a socket pair of each 'pipe', open both ways; its types know of the first five only.
    const sockets = child.stdio as readonly unknown[];
    const output = keepOutput([child.stderr as Readable, sockets[CONSOLE_FD] as Readable]);
    child.on('error', () => undefined); // `close` follows; lastWords() and the exit say what there is to say
    return {
      child,
      agent: sockets[AGENT_FD] as Duplex,
      control: sockets[CONTROL_FD] as Duplex,
      lastWords: output,
      stateFd,
    };
  } finally {
    for (const fd of files) closeSync(fd);
  }
}

/**
 * setpriv(1) gives up every privilege for good: user, groups, capabilities, and the right to gain any by exec. A network
 * namespace of its own (root only) leaves QEMU without any interface, so that even a guest that breaks out has no route.
 */
function confinement({ uid, accelerator }: QemuConfig): string[] {
  const always = ['setpriv', '--no-new-privs', '--pdeathsig=KILL', '--inh-caps=-all'];
  if (process.geteuid?.() !== 0) return [...always, '--'];
  const groups = accelerator === 'kvm' ? `--groups=${kvmGroup()}` : '--clear-groups';
  return [
    'unshare',
    '--net',
    '--ipc',
    '--',
    ...always,
    `--reuid=${uid}`,
    `--regid=${uid}`,
    groups,
    '--bounding-set=-all',
    '--',
  ];
}

/** The group that may open /dev/kvm, which is all of it that QEMU gets. */
function kvmGroup(): number {
  return statSync('/dev/kvm').gid;
}

function kernelCommandLine({ tscKhz }: QemuConfig): string {
  return [
    'console=ttyS0 quiet rdinit=/init',
    // A panic ends the machine at once instead of leaving it hanging.
    'panic=-1 reboot=t',
    tscKhz > 0 ? `tsc_early_khz=${tscKhz}` : '',
    // One learner per machine: there is nobody to protect from side channels, and TCG pays dearly for it.
    'mitigations=off random.trust_cpu=on psi=1 apparmor=0',
  ].join(' ');
}

function keepOutput(streams: readonly Readable[]): () => string {
  let text = '';
  for (const stream of streams) {
    stream.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(-KEPT_OUTPUT);
    });
    stream.on('error', () => undefined); // the other end is gone: there is nothing more to keep
  }
  return () => text;
}
