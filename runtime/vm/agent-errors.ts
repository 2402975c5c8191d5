/** An errno that the agent reports, as the error that a caller on this machine would have got. */
import { errnoName } from '../kernel/errno.js';
import { TareError } from '../kernel/error.js';

/** For files: Node's convention, an Error with `code`, `syscall` and `path`, which is what ProcSource promises. */
export function fileError(errno: number, syscall: string, path: string): Error {
  const code = errnoName(errno);
  return Object.assign(new Error(`${code}: ${syscall} '${path}' (in the machine)`), {
    code,
    errno: -errno,
    syscall,
    path,
  });
}

/** For programs: not found (127) and not executable (126) are told apart. */
export function requestError(errno: number, syscall: string, program: string): TareError {
  const code = errnoName(errno);
  const call = { syscall: { name: syscall, args: JSON.stringify(program), errno: code } };
  if (code === 'ENOENT') return new TareError('command-not-found', `${program}: not found in the machine`, call);
  if (code === 'EACCES' || code === 'ENOEXEC')
    return new TareError('command-not-executable', `${program}: cannot be executed in the machine (${code})`, call);
  return new TareError('system-call', `${syscall}(${JSON.stringify(program)}) in the machine: ${code}`, call);
}
