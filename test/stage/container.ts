/**
 * A plan like the default container's, written by hand: namespaces, a root of its own by pivot_root, the usual mounts by the mount
 * API, masked paths, rights and filter. The root file system is the host's /usr, read-only.
 */
import { CLONE, O, PR, RESOLVE_IN_ROOT } from './flags.js';
import { CWD, NONE, step, type TestPlan, type TestStep } from './plan-bytes.js';

const MOVE_EMPTY = 4 | 0x40; // MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const MS_REC_PRIVATE = 0x4000 | 0x40000;
const MNT_DETACH = 2;
export const ATTR = { rdonly: 1, nosuid: 2, nodev: 4, noexec: 8 } as const;
const FSCONFIG = { string: 1, create: 6 } as const;
const MAGIC_PROC = 0x9fa0;

/** Slots 0 and 1: the child's pid and pidfd. The rest is scratch of the inside lane. */
const [FS, MOUNT, ROOT, AT] = [2, 3, 4, 5];

/** The inside lane runs these steps, and then whatever is given last. `folder` becomes the root. */
export function containerPlan(folder: string, ...last: TestStep[]): TestPlan {
  const flags = CLONE.newns | CLONE.newuts | CLONE.newipc | CLONE.newpid | CLONE.newnet | CLONE.newcgroup;
  const outside = [step('clone', [1, flags, NONE], { out: [0, 1] }), step('supervise', [0, NONE, NONE])];
  const inside = [
    step('mount', ['', '/', '', MS_REC_PRIVATE, '']),
    ...tmpfs(folder, 'mode=0755'),
    step('openat2', [CWD, folder, O.path | O.directory, 0, 0], { out: [ROOT] }),
    ...bind('/usr', 'usr'),
    ...['bin', 'lib', 'lib64', 'sbin'].map((name) => step('symlinkat', [`usr/${name}`, ROOT, name])),
    ...mountIn('proc', 'proc', ATTR.nosuid | ATTR.nodev | ATTR.noexec, true),
    ...mountIn('sysfs', 'sys', ATTR.nosuid | ATTR.nodev | ATTR.noexec | ATTR.rdonly),
    ...mountIn('tmpfs', 'dev', ATTR.nosuid),
    ...['null', 'zero', 'full', 'random', 'urandom', 'tty'].flatMap((name) => bindFile(`/dev/${name}`, `dev/${name}`)),
    ...mountIn('devpts', 'dev/pts', ATTR.nosuid | ATTR.noexec),
    ...mountIn('tmpfs', 'dev/shm', ATTR.nosuid | ATTR.nodev | ATTR.noexec),
    ...mountIn('mqueue', 'dev/mqueue', ATTR.nosuid | ATTR.nodev | ATTR.noexec),
    ...['proc/kcore', 'proc/keys', 'proc/timer_list'].flatMap((path) => mask(path)),
    step('sethostname', ['container']),
    step('netlink', [0, LOOPBACK_UP]),
    step('fchdir', [ROOT]),
    step('pivot_root', ['.', '.']),
    step('umount2', ['.', MNT_DETACH]),
    step('chdir', ['/']),
    step('expect_cwd'),
    step('setsid'),
    step('cap_bound', [0xa80425fb]),
    step('capset', [0xa80425fb, 0xa80425fb, 0]),
    step('cap_ambient', [0]),
    step('prctl', [PR.setNoNewPrivs, 1, 0, 0, 0]),
    step('close_range', [3, 0xffff_ffff, 4]),
    ...last,
  ];
  return { slots: 16, lanes: [outside, inside] };
}

function newMount(type: string, attributes: number, ...options: TestStep[]): TestStep[] {
  return [
    step('fsopen', [type, 0], { out: [FS] }),
    ...options,
    step('fsconfig', [FS, FSCONFIG.create, '', '', 0]),
    step('fsmount', [FS, 0, attributes], { out: [MOUNT] }),
    step('close', [FS]),
  ];
}

function attach(at: number, path: string): TestStep[] {
  return [step('move_mount', [MOUNT, '', at, path, path ? 4 : MOVE_EMPTY]), step('close', [MOUNT])];
}

function tmpfs(folder: string, option: string): TestStep[] {
  const [key = '', value = ''] = option.split('=');
  return [...newMount('tmpfs', 0, step('fsconfig', [FS, FSCONFIG.string, key, value, 0])), ...attach(CWD, folder)];
}

function mountIn(type: string, path: string, attributes: number, isProc = false): TestStep[] {
  return [
    step('mkdir_in_root', [ROOT, path, 0o755], { out: [AT] }),
    ...newMount(type, attributes),
    ...(isProc ? [step('expect_fs', [MOUNT, MAGIC_PROC])] : []),
    ...attach(AT, ''),
    step('close', [AT]),
  ];
}

function bind(source: string, path: string): TestStep[] {
  return [
    step('mkdir_in_root', [ROOT, path, 0o755], { out: [AT] }),
    step('open_tree', [CWD, source, OPEN_TREE_CLONE | AT_RECURSIVE], { out: [MOUNT] }),
    step('mount_setattr', [MOUNT, '', AT_EMPTY_PATH | AT_RECURSIVE, ATTR.rdonly, 0, 0, NONE]),
    ...attach(AT, ''),
    step('close', [AT]),
  ];
}

function bindFile(source: string, path: string): TestStep[] {
  return [
    step('create_in_root', [ROOT, path, 0o666], { out: [AT] }),
    step('open_tree', [CWD, source, OPEN_TREE_CLONE], { out: [MOUNT] }),
    ...attach(AT, ''),
    step('close', [AT]),
  ];
}

/** /dev/null over a file, where there is one: proved to be the device before it is bound. */
function mask(path: string): TestStep[] {
  const found = { guardIf: AT };
  return [
    step('openat2', [ROOT, path, O.path, 0, RESOLVE_IN_ROOT], { out: [AT], tolerate: [2] }),
    step('open_tree', [ROOT, 'dev/null', OPEN_TREE_CLONE], { out: [MOUNT], ...found }),
    step('expect_device', [MOUNT, 1, 3], found),
    step('move_mount', [MOUNT, '', AT, '', MOVE_EMPTY], found),
    step('close', [MOUNT], found),
    step('close', [AT], found),
  ];
}

/** RTM_NEWLINK of interface 1 with IFF_UP; NLM_F_REQUEST and NLM_F_ACK. */
export function linkUp(index: number): Buffer {
  const message = Buffer.alloc(32);
  message.writeUInt32LE(32, 0);
  message.writeUInt16LE(16, 4);
  message.writeUInt16LE(5, 6);
  message.writeUInt32LE(1, 8);
  message.writeInt32LE(index, 20);
  message.writeUInt32LE(1, 24);
  message.writeUInt32LE(1, 28);
  return message;
}

const LOOPBACK_UP = linkUp(1);
