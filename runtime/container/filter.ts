/** The seccomp filter of a container, from config.json's profile: compiled by Tare's own compiler. seccomp(2). */
import { DEFAULT_CAPABILITIES } from '../kernel/capabilities.js';
import { TareError } from '../kernel/error.js';
import {
  AUDIT_ARCH,
  type CompiledFilter,
  compileSeccomp,
  defaultProfile,
  describeReturn,
  interpret,
  NEW_LISTENER,
  nativeArchitecture,
  RET,
  syscallTable,
} from '../kernel/seccomp/index.js';
import type { Seccomp } from '../oci/index.js';

/** Compiling takes about a millisecond, and most containers of a process have the same profile. */
const compiled = new WeakMap<Seccomp, CompiledFilter>();

/** @throws TareError `config`, with the path of the field, also for a profile whose listener could not be handed over */
export function compileFilter(profile: Seccomp | undefined): CompiledFilter | null {
  if (profile === undefined) return null;
  const filter = compiled.get(profile) ?? compileSeccomp(profile);
  if (filter.flags & NEW_LISTENER) checkHandover(profile, filter);
  compiled.set(profile, filter);
  return filter;
}

let standard: Seccomp | undefined;

/** The profile of a container with the default capabilities; always the same object. */
export function standardProfile(): Seccomp {
  standard ??= defaultProfile({ capabilities: DEFAULT_CAPABILITIES });
  return standard;
}

/** Between the filter and the agent: a report with the listener, and its answer. */
const HANDOVER = ['sendmsg', 'recvmsg'];

/**
 * The process that has loaded the filter passes the listener on, itself filtered already: a call that it makes for this must not wait for
 * an agent that has no listener yet. write(2) is the one that runc makes: refused as there, so that a profile works with both or neither.
 */
function checkHandover({ syscalls = [] }: Seccomp, { program }: CompiledFilter): void {
  const asks = syscalls.findIndex(({ names, action }) => action === 'SCMP_ACT_NOTIFY' && names.includes('write'));
  if (asks >= 0) {
    const path = `linux.seccomp.syscalls[${asks}].names`;
    throw new TareError('config', `config.json: ${path}: SCMP_ACT_NOTIFY cannot be used for the write syscall`, {
      path,
    });
  }
  const architecture = nativeArchitecture();
  for (const name of HANDOVER) {
    const nr = syscallTable(architecture).get(name) as number;
    const answer = interpret(program, { nr, arch: AUDIT_ARCH[architecture], args: [] });
    if (answer === RET.ALLOW || answer === RET.LOG) continue;
    throw new TareError(
      'config',
      `config.json: linux.seccomp must allow ${name}(2), by which its listener is handed to the agent; it says: ${describeReturn(answer)}`,
      { path: 'linux.seccomp' },
    );
  }
}
