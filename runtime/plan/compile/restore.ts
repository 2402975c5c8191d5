/**
 * restore: the plan that makes the place for a container that CRIU then makes again: its cgroup, and for criu itself a mount namespace in
 * which the root is a mount, as criu asks for. Criu is born in the cgroup and in the cgroup namespace, so that what it restores is. criu(8).
 */
import { TareError } from '../../kernel/error.js';
import { missingRequired } from '../../kernel/features.js';
import { PlanBuilder } from '../builder.js';
import { CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, O_CLOEXEC } from './abi.js';
import { enterCgroup, makeCgroup } from './cgroup.js';
import type { Compilation, CompileInput } from './compilation.js';
import type { Compiled } from './create.js';
import { resetAffinity } from './scheduling.js';

export interface RestoreInput
  extends Pick<CompileInput, 'bundle' | 'id' | 'features' | 'cgroup' | 'caller' | 'joined'> {
  /** The program, and its arguments with its name before them. */
  readonly criu: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** The network namespace that the container joins: a path. */
  readonly network?: string;
}

/** Where criu finds what it is to hand on: the standard streams, and the network namespace. */
export const RESTORE_FDS = { stdio: [20, 21, 22], network: 23 } as const;

/** @throws TareError `config` or `unsupported` for what the bundle asks and cannot be had */
export function compileRestore(input: RestoreInput): Compiled {
  const missing = missingRequired(input.features);
  if (missing.length > 0) throw new TareError('unsupported', missing.join('; '));
  const builder = new PlanBuilder();
  const { config, rootfs } = input.bundle;
  const process = { cwd: '/', user: { uid: 0, gid: 0 } };
  const compilation: Compilation = { ...input, filter: null, config, process, builder, warnings: [] };
  const { outside, inside } = builder;
  const streams = [0, 1, 2].map((i) => builder.given(restoredStream(i)));

  outside.setpgid('signals of the caller’s terminal do not reach criu');
  const entrance = makeCgroup(compilation);
  const { pid } = outside.clone(
    { lane: 'inside', flags: CLONE_NEWNS, cgroup: entrance.into },
    { as: 'criu', why: 'the process that becomes criu, with mounts of its own' },
  );
  enterCgroup(compilation, entrance);
  resetAffinity(compilation);
  const root = inside.for('root.path');
  root.mount(
    { source: 'none', target: '/', type: '', flags: MS_REC | MS_PRIVATE, data: '' },
    'what is mounted here stays here',
  );
  root.mount(
    { source: rootfs, target: rootfs, type: '', flags: MS_REC | MS_BIND, data: '' },
    'criu wants the root to be a mount',
  );
  if (input.network) {
    const at = inside.for('linux.namespaces');
    const fd = at.openat2(
      { dir: 'cwd', path: input.network, flags: O_CLOEXEC, mode: 0, resolve: 0 },
      { as: 'network namespace', why: 'the one that the container joins' },
    );
    at.dup2({ fd, number: RESTORE_FDS.network }, 'criu hands it on');
  }
  streams.forEach((fd, i) => {
    inside.dup2(
      { fd, number: RESTORE_FDS.stdio[i] as number },
      'a standard stream of the container, which criu hands on',
    );
  });
  inside.exec(
    { candidates: [input.criu], argv: input.argv, env: input.env },
    'criu makes the processes again, and ends',
  );
  outside.supervise({ pid, state: 'none', listener: 'none' }, 'waits for criu; what it has made is left to the caller');
  return { plan: builder.build(), warnings: compilation.warnings };
}

/** Given: a standard stream of the container. */
export function restoredStream(i: number): string {
  return `stream ${i}`;
}
