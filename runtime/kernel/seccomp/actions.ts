/**
 * What a filter can answer (SECCOMP_RET_* of <linux/seccomp.h>), by the names that the OCI runtime specification has for it.
 * The upper 16 bits say what happens, the lower 16 are data: an errno, or a number for a tracer.
 */
import { errnoName } from '../errno.js';
import { TareError } from '../error.js';

export const RET = {
  KILL_PROCESS: 0x80000000,
  KILL_THREAD: 0x00000000,
  TRAP: 0x00030000,
  ERRNO: 0x00050000,
  USER_NOTIF: 0x7fc00000,
  TRACE: 0x7ff00000,
  LOG: 0x7ffc0000,
  ALLOW: 0x7fff0000,
} as const;

const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: RET.KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: RET.KILL_PROCESS,
  SCMP_ACT_KILL_THREAD: RET.KILL_THREAD,
  SCMP_ACT_TRAP: RET.TRAP,
  SCMP_ACT_ERRNO: RET.ERRNO,
  SCMP_ACT_TRACE: RET.TRACE,
  SCMP_ACT_ALLOW: RET.ALLOW,
  SCMP_ACT_LOG: RET.LOG,
  SCMP_ACT_NOTIFY: RET.USER_NOTIF,
};

/** As the specification names them. */
export const ACTION_NAMES: readonly string[] = Object.keys(ACTIONS);

export const EPERM = 1;
export const ENOSYS = 38;
/** MAX_ERRNO: the kernel cuts larger ones down to it. */
const MAX_ERRNO = 4095;

/**
 * The value that a filter returns for an action of the specification. Without an errno, EPERM.
 *
 * @throws TareError `config` for an unknown action, an errno that cannot be, and an errno where the action carries none (the
 *   specification wants that refused).
 */
export function returnValue(action: string, errno: number | undefined, path: string, errnoPath: string): number {
  const value = ACTIONS[action];
  if (value === undefined || !Object.hasOwn(ACTIONS, action)) {
    throw new TareError('config', `${path}: there is no action ${JSON.stringify(action)}`, { path });
  }
  if (value !== RET.ERRNO && value !== RET.TRACE) {
    if (errno === undefined) return value;
    throw new TareError('config', `${errnoPath}: ${action} takes no errno`, { path: errnoPath });
  }
  const data = errno ?? EPERM;
  const most = value === RET.ERRNO ? MAX_ERRNO : 0xffff;
  if (!Number.isInteger(data) || data < 0 || data > most) {
    throw new TareError('config', `${errnoPath}: ${data} is not an errno from 0 to ${most}`, { path: errnoPath });
  }
  return value + data;
}

/** The return value for people: `errno EPERM`, `kill the process`. */
export function describeReturn(value: number): string {
  const data = value & 0xffff;
  switch ((value & 0xffff0000) >>> 0) {
    case RET.KILL_PROCESS:
      return 'kill the process';
    case RET.KILL_THREAD:
      return 'kill the thread';
    case RET.TRAP:
      return 'send SIGSYS';
    case RET.ERRNO:
      return data === 0 ? 'errno 0 (success without doing anything)' : errnoName(data).replace(/^(?!errno)/, 'errno ');
    case RET.USER_NOTIF:
      return 'ask the listener';
    case RET.TRACE:
      return `tell the tracer (${data})`;
    case RET.LOG:
      return 'allow and log';
    case RET.ALLOW:
      return 'allow';
    default:
      return `unknown value 0x${value.toString(16)}: kill the process`;
  }
}
