/**
 * The compiler: config.json in, the plan that creates the container out. This file is the table of contents; each line is an
 * algorithm in a file of its own. *outside* makes the cgroup and the process, *inside* makes the container around itself
 * and becomes its program; where creating and starting are two operations, a `call` named start lies between them.
 */
import { TareError } from '../../kernel/error.js';
import { missingRequired } from '../../kernel/features.js';
import type { Process } from '../../oci/index.js';
import { PlanBuilder } from '../builder.js';
import type { Plan, Slot } from '../plan.js';
import { PR_SET_PDEATHSIG } from './abi.js';
import { giveBirth } from './birth.js';
import { enterCgroup, enterScope, makeCgroup, SCOPE_CALL } from './cgroup.js';
import type { Compilation, CompileInput } from './compilation.js';
import { makeDevices } from './devices.js';
import { runCreateHooks, runStartHooks } from './hooks.js';
import { setNames } from './host-name.js';
import { joinKeyring } from './keyring.js';
import { setLabels } from './labels.js';
import { raiseLimits, setLimits } from './limits.js';
import { maskPaths, protectPaths } from './masking.js';
import { finishMounts, mountAll } from './mounts.js';
import { checkNamespaces, joinNamespaces } from './namespaces.js';
import { moveDevices, raiseDevices } from './net-devices.js';
import { raiseLoopback } from './network.js';
import { checkOverlay } from './overlay-root.js';
import {
  candidates,
  closeDescriptors,
  enterDirectory,
  makeDirectory,
  passDescriptors,
  preservedFd,
  startProgram,
} from './program.js';
import { enterClass, makeClass } from './resctrl.js';
import { dropRights, SECCOMP_LISTENER } from './rights.js';
import { attachRootfs, enterRootfs } from './rootfs.js';
import { resetAffinity, setScheduling } from './scheduling.js';
import { ROOT_PLACE } from './shared-root.js';
import { setSysctls } from './sysctl.js';
import { CONSOLE, openTerminal, startSession } from './terminal.js';

export interface Compiled {
  readonly plan: Plan;
  /** Sentences: what was asked for and is done in part. */
  readonly warnings: readonly string[];
}

/** The names by which the plan and whoever runs it know each other's things. */
export const CREATE = {
  /** The call step between create and start. */
  start: 'start',
  /** The call step before stage leaves a container that has no cgroup. */
  written: 'written',
  /** Given with the gate `socket`: the listening socket to which `start` connects. */
  gate: 'gate',
  /** The call step that hands over the seccomp listener, after the gate. */
  seccompListener: SECCOMP_LISTENER,
  /** The give step of the terminal's master. */
  console: CONSOLE,
  /** Given: the state directory, in which the exit status is written. */
  state: 'state',
  /** Given where the container has no mount namespace of its own: an empty folder for its root. */
  rootPlace: ROOT_PLACE,
  /** The call step that has systemd make a scope. */
  scope: SCOPE_CALL,
  /** Given: the supervisor's listening socket. */
  listener: 'listener',
  /** Given with `init`: a sealed memory file of Tare's init. */
  init: 'init',
} as const;

/** @throws TareError `config` or `unsupported` for what the bundle asks and cannot be had */
export function compileCreate(input: CompileInput): Compiled {
  const builder = new PlanBuilder();
  const { config } = input.bundle;
  const compilation: Compilation = {
    ...input,
    config,
    process: processOf(input),
    builder,
    premade: new Map(),
    warnings: [],
  };
  const { outside, inside } = builder;
  checkNamespaces(compilation);
  checkOverlay(compilation);
  const leaves = input.gate === 'socket';
  const supervisor = leaves
    ? undefined
    : { state: builder.given(CREATE.state), listener: builder.given(CREATE.listener) };
  const gate = leaves ? builder.given(CREATE.gate) : undefined;
  const init = input.init ? builder.given(CREATE.init) : undefined;
  const preserved = Array.from({ length: input.preserveFds ?? 0 }, (_, i) => builder.given(preservedFd(i)));

  outside.setpgid('signals of the caller’s terminal reach the container once: by the caller, not by stage as well');
  raiseLimits(compilation);
  const entrance = makeCgroup(compilation);
  const cacheClass = makeClass(compilation);
  const pid = giveBirth(compilation, entrance);
  enterScope(compilation);
  moveDevices(compilation, pid);
  enterCgroup(compilation, entrance);
  resetAffinity(compilation);
  enterClass(compilation, cacheClass);
  joinNamespaces(compilation);
  setNames(compilation);
  raiseLoopback(compilation);
  raiseDevices(compilation);
  const rootfs = attachRootfs(compilation);
  setSysctls(compilation);
  const unfinished = mountAll(compilation, rootfs);
  makeDevices(compilation, rootfs);
  const terminal = openTerminal(compilation, rootfs);
  maskPaths(compilation, rootfs);
  protectPaths(compilation, rootfs);
  makeDirectory(compilation, rootfs);
  const hookState = runCreateHooks(compilation, rootfs);
  finishMounts(compilation, unfinished);
  setLabels(compilation);
  enterRootfs(compilation, rootfs);

  startSession(compilation, terminal);
  joinKeyring(compilation);
  setScheduling(compilation);
  setLimits(compilation);
  passDescriptors(compilation, preserved);
  closeDescriptors(compilation, [init, gate, hookState]);
  enterDirectory(compilation);
  inside
    .for('process.user.umask')
    .umask({ mask: compilation.process.user.umask ?? 0o022 }, 'which rights new files do not get');

  waitForStart(compilation, gate);
  dropRights(compilation);
  runStartHooks(compilation, hookState);
  startProgram(compilation, init);
  if (supervisor) outside.supervise({ pid, ...supervisor }, 'forwards signals, reaps, and writes down how it ended');
  return { plan: builder.build(), warnings: compilation.warnings };
}

/**
 * Where creating and starting are two operations: the container is made, but for its user and its program. With a socket, stage
 * leaves it there.
 */
function waitForStart({ builder, gate, process, config, cgroup }: Compilation, listener: Slot<'fd'> | undefined): void {
  if (gate === undefined) return;
  const { outside, inside } = builder;
  const { args = [], env = [] } = process;
  if (config.process !== undefined) {
    inside
      .for('process.args')
      .expect_program(
        { candidates: candidates(args[0] ?? '', env) },
        'whoever creates it hears that its program is not there, not who starts it',
      );
  }
  if (listener === undefined) {
    builder.sync('inside', 'outside', 'the container is made, but for its user and its program');
    outside.call({ name: CREATE.start, fd: 'none' }, 'created; waits for the start');
    builder.sync('outside', 'inside', 'start');
    return;
  }
  inside.prctl(
    { option: PR_SET_PDEATHSIG, arg2: 0, arg3: 0, arg4: 0, arg5: 0 },
    'it lives on when stage has ended, as a child of whoever reaps for the caller',
  );
  builder.sync('inside', 'outside', 'the container is made, but for its user and its program: stage can go');
  // Whatever is in the cgroup is found there; without one only the journal knows of the process.
  if (cgroup === null) outside.call({ name: CREATE.written, fd: 'none' }, 'not before its process is in the journal');
  inside.await_start({ listener }, 'created; waits for the start');
}

/** The program, once nothing stands against running it here. Without one a container can be created, and not started: config.md, "Process". */
function processOf({ bundle, features, gate }: CompileInput): Process {
  const { process = gate && NO_PROCESS } = bundle.config;
  if (process === undefined) {
    throw new TareError('config', 'config.json: process is missing: there is nothing to run', { path: 'process' });
  }
  const missing = missingRequired(features);
  if (missing.length > 0) throw new TareError('unsupported', missing.join('; '));
  return process;
}

const NO_PROCESS: Process = { cwd: '/', user: { uid: 0, gid: 0 } };
