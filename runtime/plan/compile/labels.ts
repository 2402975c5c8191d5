/**
 * The labels of the security modules, AppArmor's profile and SELinux's context: written now, taken on at the next execve(2). They are
 * written through a proc of our own making that is attached nowhere: what an image has put at /proc may swallow the write, and the
 * program would run without (CVE-2019-16884, CVE-2025-52881). proc_pid_attr(5), apparmor(7).
 */
import { TareError } from '../../kernel/error.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  PROC_SUPER_MAGIC,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
} from './abi.js';
import { type Compilation, has } from './compilation.js';
import { newFileSystem } from './new-file-system.js';

/**
 * Before the root is entered, or with the proc of the host, opened before its mount namespace was left.
 * @throws TareError `unsupported` when this kernel's security modules are others
 */
export function setLabels(compilation: Compilation, hostProc?: Slot<'fd'>): void {
  const { builder, process } = compilation;
  const profile = wanted(compilation, 'process.apparmorProfile');
  const context = wanted(compilation, 'process.selinuxLabel');
  if (profile === undefined && context === undefined) return;
  const proc = hostProc ?? openProc(compilation, builder.inside.for(profile ? APPARMOR : SELINUX));
  if (profile !== undefined) {
    const lane = builder.inside.for(APPARMOR);
    const fd = openAttribute(lane, proc, 'apparmor/exec', 'AppArmor’s own file since Linux 5.8');
    openAttribute(lane, proc, 'exec', 'the file that the modules share, before', fd);
    write(lane, fd, `exec ${profile}`, 'the profile that the program runs under');
  }
  if (context !== undefined) {
    const lane = builder.inside.for(SELINUX);
    write(
      lane,
      openAttribute(lane, proc, 'keycreate', 'the label of new keys'),
      context,
      'of its session keyring, too',
    );
    write(
      lane,
      openAttribute(lane, proc, 'exec', 'the label after execve'),
      context,
      `what the program runs as: ${process.selinuxLabel}`,
    );
  }
  if (!hostProc) builder.inside.for(profile ? APPARMOR : SELINUX).close({ fd: proc }, 'it was never attached anywhere');
}

const APPARMOR = 'process.apparmorProfile';
const SELINUX = 'process.selinuxLabel';

function wanted({ process, features }: Compilation, field: typeof APPARMOR | typeof SELINUX): string | undefined {
  const apparmor = field === APPARMOR;
  const label = apparmor ? process.apparmorProfile : process.selinuxLabel;
  if (!label || (apparmor ? features.appArmor : features.seLinux)) return label || undefined;
  // What every process is where there is no AppArmor.
  if (apparmor && label === 'unconfined') return undefined;
  const name = apparmor ? 'AppArmor' : 'SELinux';
  throw new TareError(
    'unsupported',
    `config.json: ${field} is ${JSON.stringify(label)}, but ${name} is not enabled in this kernel: leave it out, or boot with lsm=${name.toLowerCase()}`,
    { path: field },
  );
}

/** A user namespace has no say over a pid namespace that is not its own, and so cannot make a proc of it. */
function openProc(compilation: Compilation, lane: LaneBuilder): Slot<'fd'> {
  const proc =
    has(compilation, 'user') && !has(compilation, 'pid')
      ? lane.openat2(
          { dir: 'cwd', path: '/proc', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
          { as: 'proc', why: 'the host’s proc, as long as it is within reach' },
        )
      : newFileSystem(lane, 'proc', { attributes: 0, why: 'a proc of our own, for writing labels' });
  lane.expect_fs({ fd: proc, magic: PROC_SUPER_MAGIC }, 'it surely is proc');
  return proc;
}

function openAttribute(
  lane: LaneBuilder,
  proc: Slot<'fd'>,
  name: string,
  why: string,
  instead?: Slot<'fd'>,
): Slot<'fd'> {
  const path = `thread-self/attr/${name}`;
  return lane.openat2(
    {
      dir: proc,
      path,
      flags: O_WRONLY | O_CLOEXEC,
      mode: 0,
      resolve: RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
    },
    {
      as: `attr/${name}`,
      why,
      ...(name.includes('/') && { tolerate: ['ENOENT'] }),
      ...(instead && { into: instead, unless: instead }),
    },
  );
}

function write(lane: LaneBuilder, fd: Slot<'fd'>, text: string, why: string): void {
  lane.write({ fd, data: Buffer.from(text) }, why);
  lane.close({ fd }, 'written');
}
