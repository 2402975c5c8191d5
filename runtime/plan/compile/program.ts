/**
 * The end of the inside lane: the working directory, and the program. With `--init` the program is Tare's own init, started
 * from a sealed memory file, so that the container can neither find nor change it (CVE-2019-5736). execve(2), execveat(2).
 */
import { posix } from 'node:path';
import type { Slot } from '../plan.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH, RESOLVE_NO_MAGICLINKS } from './abi.js';
import type { Compilation } from './compilation.js';

/** Where programs are looked for when the environment has no PATH: what Debian's shells do. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The working directory is made when the root file system has none, as images expect. */
export function makeDirectory({ builder, process }: Compilation, rootfs: Slot<'fd'>): void {
  const cwd = posix.normalize(process.cwd);
  if (cwd === '/') return;
  const inside = builder.inside.for('process.cwd');
  const fd = inside.mkdir_in_root(
    { root: rootfs, path: cwd, mode: 0o755 },
    { as: 'working directory', why: 'made within the root if it is not there' },
  );
  inside.close({ fd }, { why: 'it exists' });
}

export function enterDirectory({ builder, process }: Compilation): void {
  const inside = builder.inside.for('process.cwd');
  const { cwd } = process;
  const fd = inside.openat2(
    { dir: 'cwd', path: cwd, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: RESOLVE_NO_MAGICLINKS },
    { as: 'directory to start in', why: 'where the program starts; /proc/self/fd/N would lead out (CVE-2024-21626)' },
  );
  inside.fchdir({ fd }, 'the directory that was looked at, not its name again');
  inside.expect_cwd('it surely is within the root (CVE-2024-21626)');
  inside.close({ fd }, 'the program’s name is resolved next');
}

const PRESERVED = 'preserved ';

/** The name under which the i-th descriptor that the program is to get is given; it has number 3 + i before and after. */
export function preservedFd(i: number): string {
  return `${PRESERVED}${i}`;
}

/** Those of a plan's given descriptors that are passed on, with their numbers: of this process, which inherited them and keeps them open. */
export function preservedFds(given: readonly string[]): Record<string, number> {
  const names = given.filter((name) => name.startsWith(PRESERVED));
  return Object.fromEntries(names.map((name) => [name, 3 + Number(name.slice(PRESERVED.length))]));
}

/** The caller's descriptors that the program gets, as numbers from 3 on. */
export function passDescriptors({ builder }: Compilation, preserved: readonly Slot<'fd'>[]): void {
  preserved.forEach((fd, i) => {
    builder.inside.dup2({ fd, number: 3 + i }, 'passed on, because the caller asks for it');
  });
}

/**
 * Really closed, and before the first name that the image chose is resolved: close-on-exec acts after the kernel has
 * followed the program's path, its `#!` line and its loader, which may be links through /proc/self/fd to a directory of the host
 * (as in CVE-2024-21626) or to what a masked path covers.
 */
export function closeDescriptors(
  { builder, preserveFds = 0 }: Compilation,
  keep: readonly (Slot<'fd'> | undefined)[],
): void {
  const [first = 'none', second = 'none', third = 'none'] = keep.filter((slot) => slot !== undefined);
  builder.inside.close_others(
    { first: 3 + preserveFds, keep: first, second, third },
    'no descriptor but the standard streams reaches the program, nor the names that lead to it (CVE-2016-9962)',
  );
}

export function startProgram({ builder, process }: Compilation, init: Slot<'fd'> | undefined): void {
  const { args = [], env = [] } = process;
  const inside = builder.inside.for('process.args');
  if (args.length === 0) {
    inside.exit({ status: 0 }, 'the configuration names no program');
    return;
  }
  if (init !== undefined) {
    inside.exec_fd(
      { fd: init, argv: ['tare-init', '--', ...args], env },
      'Tare’s init, which starts the program, forwards signals to it and reaps what it leaves behind',
    );
    return;
  }
  inside.exec({ candidates: candidates(args[0] ?? '', env), argv: args, env }, 'the program takes the place of stage');
}

/** execvp(3) without a search at run time: every place where the program may be, in order. */
export function candidates(program: string, env: readonly string[]): string[] {
  if (program.includes('/')) return [program];
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? DEFAULT_PATH;
  // An empty part of PATH means the working directory.
  return path.split(':').map((folder) => `${folder || '.'}/${program}`);
}
