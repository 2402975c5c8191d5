/**
 * The last that happens before the program: its system call filter, its user and capabilities, no_new_privs. What is left of
 * the process's rights afterwards is what the program has. seccomp(2), capabilities(7), prctl(2).
 */
import { NEW_LISTENER } from '../../kernel/seccomp/index.js';
import { PR_SET_NO_NEW_PRIVS } from './abi.js';
import type { Compilation } from './compilation.js';
import { becomeUser, ownStdio } from './identity.js';

/** The call step that hands the listener of a filter that notifies to TypeScript. seccomp_unotify(2). */
export const SECCOMP_LISTENER = 'seccomp-listener';

/**
 * The user, its capabilities and the system call filter, last. Loading a filter needs CAP_SYS_ADMIN unless no_new_privs is
 * set (seccomp(2)), so without it the filter comes before the capabilities go, and must let these calls through.
 */
export function dropRights(compilation: Compilation): void {
  const { builder, process } = compilation;
  const noNewPrivileges = process.noNewPrivileges ?? false;
  ownStdio(compilation);
  if (!noNewPrivileges) loadFilter(compilation);
  becomeUser(compilation);
  if (!noNewPrivileges) return;
  builder.inside
    .for('process.noNewPrivileges')
    .prctl(
      { option: PR_SET_NO_NEW_PRIVS, arg2: 1, arg3: 0, arg4: 0, arg5: 0 },
      'no program that it starts gets more rights than it has',
    );
  loadFilter(compilation);
}

function loadFilter({ builder, filter }: Compilation): void {
  if (filter === null) return;
  const inside = builder.inside.for('linux.seccomp');
  const listener = inside.seccomp(
    { flags: filter.flags, filter: filter.program },
    { as: 'seccomp listener', why: 'system calls are filtered from here on' },
  );
  if (!(filter.flags & NEW_LISTENER)) return;
  const path = builder.inside.for('linux.seccomp.listenerPath');
  path.call(
    { name: SECCOMP_LISTENER, fd: listener },
    'the agent gets the listener; calls that the profile has it decide wait for its answers from here on',
  );
  path.close({ fd: listener }, 'the agent has it; the program must not answer itself');
}
