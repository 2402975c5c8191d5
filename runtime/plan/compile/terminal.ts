/**
 * The terminal: a pair made in the container's own devpts, the master passed to whoever proxies it, the other end bound to
 * /dev/console and used as the standard streams. The other end is opened by ioctl, never by the name /dev/pts/N, which the
 * image could have swapped (CVE-2025-52565). pty(7), ioctl_tty(2), TIOCGPTPEER.
 */

import { KEEP_ID } from '../../kernel/constants/files.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  DEVPTS_SUPER_MAGIC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_PATH,
  O_RDWR,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_XDEV,
} from './abi.js';
import { attach } from './attach.js';
import type { Compilation } from './compilation.js';

/** The name under which the master's descriptor is given to TypeScript. */
export const CONSOLE = 'console';

/** Makes the pair while the root is still reached by descriptor. Returns the container's end, or undefined without a terminal. */
export function openTerminal(compilation: Compilation, rootfs: Slot<'fd'>): Slot<'fd'> | undefined {
  if (!compilation.process.terminal) return undefined;
  const inside = compilation.builder.inside.for('process.terminal');
  const terminal = openPair(compilation, rootfs);
  const target = inside.create_in_root(
    { root: rootfs, path: '/dev/console', mode: 0o600 },
    { as: '/dev/console target', why: 'a file to mount it on' },
  );
  const copy = inside.open_tree(
    { dir: terminal, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH },
    { as: 'console copy', why: 'the terminal as a mount' },
  );
  attach(inside, copy, target, '/dev/console');
  return terminal;
}

/** A new pair of the devpts below a root. Gives the master away, and returns the slot of the container's end. */
export function openPair({ builder, process }: Compilation, rootfs: Slot<'fd'>): Slot<'fd'> {
  const inside = builder.inside.for('process.terminal');
  // Where the container runs already, it could put a fifo in the name's place: in a devpts there is none.
  const devpts = inside.openat2(
    { dir: rootfs, path: '/dev/pts', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: RESOLVE_IN_ROOT },
    { as: '/dev/pts', why: 'where the container has its terminals' },
  );
  inside.expect_fs({ fd: devpts, magic: DEVPTS_SUPER_MAGIC }, 'it surely is a devpts');
  const master = inside.openat2(
    { dir: devpts, path: 'ptmx', flags: O_RDWR | O_NOCTTY | O_CLOEXEC, mode: 0, resolve: RESOLVE_NO_XDEV },
    { as: 'pty master', why: 'a new pair of the container’s own devpts' },
  );
  inside.close({ fd: devpts }, 'opened');
  inside.pty_unlock({ fd: master }, 'the other end may be opened');
  const terminal = inside.pty_peer(
    { fd: master, flags: O_RDWR | O_NOCTTY | O_CLOEXEC },
    { as: 'terminal', why: 'the other end, without its name (CVE-2025-52565)' },
  );
  const size = process.consoleSize;
  if (size && size.width > 0 && size.height > 0) {
    builder.inside
      .for('process.consoleSize')
      .pty_size({ fd: master, columns: size.width, rows: size.height }, 'the size of the window that shows it');
  }
  if (process.user.uid !== 0) {
    inside.fchownat(
      { dir: terminal, path: '', uid: process.user.uid, gid: KEEP_ID, flags: AT_EMPTY_PATH },
      'the user may open their own terminal again, as /dev/tty or /dev/console',
    );
  }
  inside.give({ name: CONSOLE, fd: master }, 'whoever started the container reads and writes the terminal here');
  inside.close({ fd: master }, 'the container keeps its own end only');
  return terminal;
}

/** A session of its own; with a terminal, it is the session's and the standard streams. */
export function startSession({ builder }: Compilation, terminal: Slot<'fd'> | undefined): void {
  builder.inside.setsid('a session of its own: it cannot type into the caller’s terminal (TIOCSTI, CVE-2017-5226)');
  if (terminal === undefined) return;
  const inside = builder.inside.for('process.terminal');
  inside.set_ctty({ fd: terminal }, 'Ctrl-C in the terminal reaches the container’s processes');
  for (const number of [0, 1, 2])
    inside.dup2({ fd: terminal, number }, `standard ${['input', 'output', 'error'][number]}`);
}
