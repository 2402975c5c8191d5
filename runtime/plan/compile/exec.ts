/**
 * exec: the plan of a further process in a container that is there. The *bridge*, in the container's cgroup already, joins all
 * namespaces of its first process at once, by pidfd, and clones *inside* into them as a child of stage. From then on the two
 * processes stand among those of the container, who may be hostile: so they are not dumpable, and *inside* has closed whatever leads to
 * the host before it follows the first name (CVE-2016-9962, CVE-2024-21626). setns(2), pidfd_open(2); runc-exec(8).
 */
import { TareError } from '../../kernel/error.js';
import { missingRequired } from '../../kernel/features.js';
import type { NamespaceType, Process } from '../../oci/index.js';
import { PlanBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { CLONE_PARENT, O_CLOEXEC, O_DIRECTORY, O_PATH, PR_SET_PDEATHSIG } from './abi.js';
import { setOomScoreOfBridge } from './bridge.js';
import { type Entrance, enterBySelf, openEntrances } from './cgroup.js';
import type { Compilation, CompileInput } from './compilation.js';
import type { Compiled } from './create.js';
import { becomeFirstUser } from './first-user.js';
import { joinKeyring } from './keyring.js';
import { setLabels } from './labels.js';
import { raiseLimits, setLimits } from './limits.js';
import { namespaceFlags } from './namespaces.js';
import { closeDescriptors, enterDirectory, passDescriptors, preservedFd, startProgram } from './program.js';
import { enterClass, joinClass } from './resctrl.js';
import { dropRights, SECCOMP_LISTENER } from './rights.js';
import { finalAffinity, initialAffinity, setScheduling } from './scheduling.js';
import { CONSOLE, openPair, startSession } from './terminal.js';

type OfContainer =
  | 'bundle'
  | 'id'
  | 'features'
  | 'filter'
  | 'caller'
  | 'noNewKeyring'
  | 'keyring'
  | 'preserveFds'
  | 'joined';

export interface ExecInput extends Pick<CompileInput, OfContainer> {
  /** The program, and who it is. */
  readonly process: Process;
  /** The namespaces of the container that are not the caller's own: one that is the same cannot be joined once more. */
  readonly namespaces: readonly NamespaceType[];
  /** How it gets into the container's cgroups; null where the container has none. */
  readonly entrance: Entrance | null;
  /** Stage watches over the process; else it ends when the program runs, which then is the caller's subreaper's. */
  readonly supervised: boolean;
}

/** The names by which the plan and whoever runs it know each other's things. */
export const EXEC = {
  /** Given: a pidfd of the container's first process; without `Features.setnsByPidfd` its namespaces, by `execNamespace`. */
  container: 'container',
  /** Given where the container has no mount namespace of its own: its root. */
  root: 'root of the container',
  console: CONSOLE,
  seccompListener: SECCOMP_LISTENER,
} as const;

/** The name under which a namespace of the container is given to a kernel whose setns(2) takes no pidfd. */
export function execNamespace(type: NamespaceType): string {
  return `${type} namespace`;
}

/** @throws TareError `config` or `unsupported` for what the process asks and cannot be had */
export function compileExec(input: ExecInput): Compiled {
  const missing = missingRequired(input.features);
  if (missing.length > 0) throw new TareError('unsupported', missing.join('; '));
  const builder = new PlanBuilder();
  const { config } = input.bundle;
  const compilation: ExecCompilation = { ...input, cgroup: null, config, builder, warnings: [] };
  const { outside, inside } = builder;
  const places = givePlaces(compilation);
  const root = input.namespaces.includes('mount') ? undefined : builder.given(EXEC.root);
  const preserved = Array.from({ length: input.preserveFds ?? 0 }, (_, i) => builder.given(preservedFd(i)));

  outside.setpgid('signals of the caller’s terminal reach the process once: by the caller, not by stage as well');
  raiseLimits(compilation);
  const cacheClass = joinClass(compilation, outside);
  const proc = openHostProc(compilation);
  const pid = cloneIntoContainer(compilation, places);
  if (root) {
    inside.fchdir({ fd: root }, 'the root of the container, which no mount namespace leads to');
    inside.chroot({ path: '.' }, 'entered, as the container has done');
  }
  if (!input.supervised) {
    inside.prctl(
      { option: PR_SET_PDEATHSIG, arg2: 0, arg3: 0, arg4: 0, arg5: 0 },
      'it lives on when stage has ended, as a child of whoever reaps for the caller',
    );
  }
  finalAffinity(compilation);
  enterClass(compilation, cacheClass);
  setLabels(compilation, proc);
  startSession(compilation, openTerminal(compilation));
  joinKeyring(compilation);
  setScheduling(compilation);
  setLimits(compilation);
  passDescriptors(compilation, preserved);
  closeDescriptors(compilation, []);
  enterDirectory(compilation);
  inside
    .for('process.user.umask')
    .umask({ mask: compilation.process.user.umask ?? 0o022 }, 'which rights new files do not get');
  dropRights(compilation);
  startProgram(compilation, undefined);

  if (input.supervised) {
    outside.supervise({ pid, state: 'none', listener: 'none' }, 'forwards signals, reaps, and tells how it ended');
  } else {
    outside.await_exec({ lane: 'inside' }, 'the program runs, or could not be run: stage can go');
  }
  return { plan: builder.build(), warnings: compilation.warnings };
}

type ExecCompilation = Compilation & ExecInput;

/** What is joined, and by which flags. */
interface Place {
  readonly fd: Slot<'fd'>;
  readonly flags: number;
  readonly why: string;
}

/** One pidfd for all namespaces, or each by itself. The user namespace first: it gives the rights to enter those that belong to it. */
function givePlaces({ builder, features, namespaces }: ExecCompilation): Place[] {
  if (features.setnsByPidfd) {
    const fd = builder.given(EXEC.container);
    const why = `where the container is: ${namespaces.join(', ')}`;
    return [{ fd, flags: namespaceFlags(namespaces), why }];
  }
  const inOrder = [...namespaces].sort((a, b) => Number(b === 'user') - Number(a === 'user'));
  return inOrder.map((type) => ({
    fd: builder.given(execNamespace(type)),
    flags: namespaceFlags([type]),
    why: `the ${type} namespace of the container`,
  }));
}

/** For the labels: what the container has at its /proc is its own affair. */
function openHostProc({ builder, process }: ExecCompilation): Slot<'fd'> | undefined {
  if (!process.apparmorProfile && !process.selinuxLabel) return undefined;
  return builder.outside.openat2(
    { dir: 'cwd', path: '/proc', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'proc of the host', why: 'where its labels are written, whatever the container shows at /proc' },
  );
}

/** The bridge goes first; returns the slot of the pid of *inside*, in *outside*. */
function cloneIntoContainer(compilation: ExecCompilation, places: readonly Place[]): Slot<'pid'> {
  const { builder, features, entrance, namespaces } = compilation;
  const outside = builder.outside.for('linux.namespaces');
  const bridge = builder.bridge.for('linux.namespaces');
  initialAffinity(compilation, builder.outside);
  const way = entrance
    ? openEntrances(builder.outside, entrance, features.cloneIntoCgroup)
    : { into: 'none' as const, files: [] };
  outside.clone(
    { lane: 'bridge', flags: 0, cgroup: way.into },
    { as: 'bridge', why: 'goes into the container’s namespaces; its pid namespace holds for the bridge’s child only' },
  );
  enterBySelf(builder.bridge, way);
  setOomScoreOfBridge(compilation);
  for (const { fd, flags, why } of places) bridge.setns({ fd, flags }, why);
  if (namespaces.includes('user')) becomeFirstUser(compilation, bridge);
  bridge.clone(
    { lane: 'inside', flags: CLONE_PARENT, cgroup: 'none' },
    { as: 'process of bridge', why: 'the process that becomes the program, as a child of stage' },
  );
  builder.sync('bridge', 'outside', 'the process is there');
  bridge.exit({ status: 0 }, 'the bridge has done its work');
  return outside.adopt({ lane: 'inside' }, { as: 'process', why: 'the process that the bridge cloned' }).pid;
}

/** Of the container's devpts, which is reached from the root that it has joined. */
function openTerminal(compilation: ExecCompilation): Slot<'fd'> | undefined {
  if (!compilation.process.terminal) return undefined;
  const inside = compilation.builder.inside.for('process.terminal');
  const root = inside.openat2(
    { dir: 'cwd', path: '/', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'root', why: 'the root of the container' },
  );
  const terminal = openPair(compilation, root);
  inside.close({ fd: root }, 'the terminal is open');
  return terminal;
}
