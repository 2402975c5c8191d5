import type { Name, NativeFiles } from './native-files.js';
import type { NativeZstd } from './zstd.js';

/**
 * The face of native/addon: one thin function per system call. Nothing here decides anything. Every failure throws a
 * TareError with code `system-call` and the call as strace shows it. None of these changes an attribute of Node's own
 * process or threads (no setns, unshare, chroot, setuid): work in another namespace is a plan, run by stage.
 *
 * Descriptors are plain numbers here; whoever receives one owns it and closes it (see `fd.ts` for `OwnedFd`, which does so by `using`).
 */
export interface Native extends NativeFiles, NativeZstd {
  open(path: string, flags: number, mode?: number): number;
  /** openat2(2). `resolve` is a mask of RESOLVE_*. */
  openat2(dirfd: number, path: Name, flags: number, mode: number, resolve: number): number;
  close(fd: number): void;
  dup(fd: number): number;
  /** eventfd(2), non-blocking: 8 bytes can be read of it once its counter is not 0. */
  eventfd(): number;
  /** pipe2(2) with O_CLOEXEC: [read end, write end]. */
  pipe(): [number, number];
  /** socketpair(2) of AF_UNIX, SOCK_SEQPACKET, close-on-exec, non-blocking. */
  socketpair(): [number, number];
  /** A listening AF_UNIX SOCK_SEQPACKET socket, mode 0600, bound at `name` within the directory `dirfd` (any path length). */
  listenAt(dirfd: number, name: string): number;
  /** Connects to such a socket. */
  connectAt(dirfd: number, name: string): number;
  /**
   * Connects to an AF_UNIX SOCK_STREAM socket that somebody else has bound at `path` (any length): non-blocking, close-on-exec. A path that
   * begins with `@` is an abstract name, as Go and sd_notify(3) write it.
   */
  connectStream(path: string): number;
  /** The same for SOCK_DGRAM. */
  connectDatagram(path: string): number;
  /** An AF_UNIX SOCK_DGRAM socket that others send to, bound at `name` within the directory `dirfd`, with this mode. */
  bindDatagramAt(dirfd: number, name: string, mode: number): number;
  /** sendmsg(2) of one message with descriptors attached. EAGAIN throws. */
  sendmsg(fd: number, data: Uint8Array, fds?: readonly number[]): void;
  /** recvmsg(2), MSG_CMSG_CLOEXEC. null when nothing is there (EAGAIN); data of length 0 at the end. MSG_TRUNC and MSG_CTRUNC throw EMSGSIZE. */
  recvmsg(fd: number, maxBytes: number, maxFds: number): { data: Buffer; fds: number[] } | null;
  /** memfd_create(2) with `data` in it, sealed against every change. Close-on-exec. */
  sealedMemfd(name: string, data: Uint8Array): number;
  /**
   * vfork and execveat(2) of a descriptor: the child's descriptor i is fds[i], and it has no others; signals are at their defaults and
   * unblocked. The fds may be given in any order and may repeat. Never forks Node's memory. Throws what execveat gave.
   */
  spawn(
    exeFd: number,
    argv: readonly string[],
    env: readonly string[],
    fds: readonly number[],
  ): { pid: number; pidfd: number };
  pidfdOpen(pid: number): number;
  pidfdSendSignal(pidfd: number, signal: number): void;
  /** waitid(2) with P_PIDFD and WNOHANG: the wait status as wait(2) encodes it, or null while it runs. */
  waitPidfd(pidfd: number): number | null;
  /** flock(2). With LOCK_NB, EWOULDBLOCK throws. */
  flock(fd: number, operation: number): void;
  /** Takes ONLCR from a terminal's output flags (termios(3)): a line ends with LF alone, as the program wrote it. */
  clearOnlcr(fd: number): void;
  /** Window size of a terminal: ioctl TIOCSWINSZ / TIOCGWINSZ. */
  setWindowSize(fd: number, columns: number, rows: number): void;
  getWindowSize(fd: number): { columns: number; rows: number };
  /** statfs(2) f_type. */
  fsMagic(path: string): number;
  /** ioctl NS_GET_USERNS, NS_GET_PARENT, NS_GET_NSTYPE and NS_GET_OWNER_UID are one call each. */
  nsGetUserns(fd: number): number;
  nsGetParent(fd: number): number;
  nsGetType(fd: number): number;
  nsGetOwnerUid(fd: number): number;
  /**
   * One request by netlink(7), and all answers to it, up to the acknowledgement or the end of a dump. A refusal throws its errno.
   * `request` is one message with NLM_F_ACK or NLM_F_DUMP.
   */
  netlink(protocol: number, request: Uint8Array): Buffer;
  /** Does this kernel have the call at all? The number is of the system call table, from 424 (Linux 5.1) on; it is called with wrong arguments. */
  hasSyscall(number: number): boolean;
  /** seccomp(2) SECCOMP_GET_ACTION_AVAIL. */
  seccompActionAvailable(action: number): boolean;
  /** landlock_create_ruleset(2) LANDLOCK_CREATE_RULESET_VERSION: 0 when there is no Landlock, or it is switched off. */
  landlockAbi(): number;
  getrlimit(resource: number): { soft: bigint; hard: bigint };
  /** Watches a descriptor with the event loop (uv_poll): READABLE 1, WRITABLE 2, DISCONNECT 4. */
  watch(fd: number, events: number, callback: (events: number) => void): Watcher;
  /** Takes a signal with the event loop (uv_signal), as `process.on` does: also a real-time one, which that does not know. */
  watchSignal(signal: number, callback: (signal: number) => void): Watcher;
}

export interface Watcher {
  /** Stops watching: a descriptor may be closed afterwards, a signal does what it did before. Calling it again does nothing. */
  close(): void;
  /** While unreferenced it does not keep Node alive. */
  unref(): void;
}
