/**
 * The seccomp agent: the program outside that decides on the calls for which a profile says SCMP_ACT_NOTIFY. It listens on a Unix socket
 * and gets, in one message, the listener's descriptor and who it is of. seccomp_unotify(2); config-linux.md#containerprocessstate.
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { OCI_VERSION, type OciState, type Seccomp } from '../oci/index.js';

export interface Notified {
  /** The container's. */
  readonly state: OciState;
  /** The process with the filter, as the runtime sees it: the container's first, or what `exec` started. */
  readonly pid: number;
  readonly seccomp: Pick<Seccomp, 'listenerPath' | 'listenerMetadata'>;
}

/**
 * Sends the listener. The caller closes it: once the agent has ended and nobody else holds it, calls that ask it fail with ENOSYS.
 * @throws TareError `config` without a path; `system-call` when nobody listens there, or the agent does not take it
 */
export function sendListener({ state, pid, seccomp }: Notified, listener: number): void {
  const { listenerPath, listenerMetadata } = seccomp;
  if (!listenerPath) {
    const path = 'linux.seccomp.listenerPath';
    throw new TareError('config', `config.json: ${path} is missing: the profile asks an agent, and names none`, {
      path,
    });
  }
  const message = {
    ociVersion: OCI_VERSION,
    fds: ['seccompFd'],
    pid,
    ...(listenerMetadata !== undefined && { metadata: listenerMetadata }),
    state,
  };
  const socket = connect(listenerPath);
  try {
    native.sendmsg(socket, Buffer.from(JSON.stringify(message)), [listener]);
  } finally {
    native.close(socket);
  }
}

function connect(path: string): number {
  try {
    return native.connectStream(path);
  } catch (cause) {
    if (!(cause instanceof TareError)) throw cause;
    const text = `failed to connect with seccomp agent (linux.seccomp.listenerPath): ${cause.message}`;
    throw new TareError('system-call', text, { cause, syscall: cause.syscall, path: 'linux.seccomp.listenerPath' });
  }
}
