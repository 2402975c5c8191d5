/**
 * The sockets of `--console-socket` and `--pidfd-socket`: a Unix stream socket at which somebody listens, who gets one message with one
 * descriptor (SCM_RIGHTS) and the terminal's name beside it. unix(7).
 */
import { native } from '../../kernel/addon.js';

/** Sends the master of a terminal. The caller closes it. @throws TareError `system-call` when nobody listens */
export function sendConsole(path: string, master: number): void {
  send(path, '/dev/ptmx', master);
}

/** Sends a pidfd. @throws TareError `system-call` when nobody listens, or there is no such process */
export function sendPidfd(path: string, pid: number): void {
  const pidfd = native.pidfdOpen(pid);
  try {
    send(path, 'pidfd', pidfd);
  } finally {
    native.close(pidfd);
  }
}

function send(path: string, name: string, fd: number): void {
  const socket = native.connectStream(path);
  try {
    native.sendmsg(socket, Buffer.from(name), [fd]);
  } finally {
    native.close(socket);
  }
}
