/**
 * Loads native/addon, once and only when its first function is used, and turns its failures into `TareError` (code
 * `system-call`) with a text as strace has it, and a sentence of what to do where one is known.
 */
import { createRequire } from 'node:module';
import { errnoName } from './errno.js';
import { formatCall, TareError } from './error.js';
import type { Native } from './native.js';
import { nativeFile } from './places.js';

/** The system calls. The first use loads the addon; it throws `not-found` when it has not been built. */
export const native: Native = new Proxy({} as Native, {
  get: (_, name) => Reflect.get(load(), name),
});

/**
 * The error of a failed system call. `args` are formatted already; `errno` is the number.
 * Used by the addon, and by whatever learns of a failed call in another way (a report of stage).
 */
export function systemCallError(name: string, args: string, errno: number, cause?: unknown): TareError {
  const syscall = { name, args, errno: errnoName(errno) };
  const advice = ADVICE[`${name} ${syscall.errno}`] ?? ADVICE[syscall.errno];
  return new TareError('system-call', formatCall(syscall) + (advice ? ` (${advice})` : ''), { syscall, cause });
}

/** What an error usually means here, and what to do: by call and errno, or by errno alone. */
const ADVICE: Readonly<Record<string, string>> = {
  'openat2 EXDEV': 'the path leaves the directory that it must stay in',
  'openat2 ELOOP': 'the path has a symbolic link where none is allowed, or too many of them',
  'openat2 EAGAIN': 'something renamed parts of the path all the while; try again',
  'execveat ENOENT': 'the program needs an interpreter or dynamic loader that is not there',
  'execveat EACCES': 'the file is not executable, or its file system is mounted noexec',
  'execveat ENOEXEC': 'the file is not a program of this machine',
  'execveat ETXTBSY': 'the program is open for writing',
  'flock EAGAIN': 'another process holds the lock',
  'sendmsg EPIPE': 'the other side has gone',
  'sendmsg EAGAIN': 'the other side does not read',
  'sendmsg EPROTOTYPE': 'the socket keeps no bounds of messages; SOCK_SEQPACKET does',
  'recvmsg EMSGSIZE': 'the message, or its list of descriptors, is larger than agreed',
  'connect ECONNREFUSED': 'nobody listens on the socket any more',
  'connect ENOENT': 'there is no such socket',
  'connect EPROTOTYPE': 'the socket is of another kind',
  'connect EAGAIN': 'too many connections wait to be accepted',
  'waitid ECHILD': 'the process is no child of this one, or has been waited for already',
  'pidfd_open ESRCH': 'no such process',
  'pidfd_send_signal ESRCH': 'the process has ended',
  'memfd_create EACCES': 'vm.memfd_noexec forbids executable memory files: sysctl vm.memfd_noexec=0',
  EMFILE: 'this process has too many open files: raise its limit with ulimit -n',
  ENFILE: 'the system has too many open files: raise fs.file-max',
  ENOSPC: 'no space left',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  ENOSYS: 'this kernel does not have the call, or a seccomp filter hides it',
};

type Addon = Native & { onFailure(make: (name: string, args: string, errno: number) => Error): void };

let loaded: Native | undefined;

function load(): Native {
  if (!loaded) {
    const addon = createRequire(import.meta.url)(nativeFile('tare.node')) as Addon;
    addon.onFailure(systemCallError);
    loaded = addon;
  }
  return loaded;
}
