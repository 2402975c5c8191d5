/**
 * `NOTIFY_SOCKET`: a service manager waits to hear that the service is up, and only the program in the container can say so. It is
 * given a socket of its own at /run/notify; who starts the container listens there, and tells the manager. Nothing else that
 * the program says is passed on: it could change the service, and a container's word is not the service's. sd_notify(3).
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Container, CreateOptions } from '../../container/index.js';
import { native } from '../../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { closeAll, OwnedFd } from '../../kernel/fd.js';
import type { Watcher } from '../../kernel/native.js';
import { identityOf, openProcess } from '../../kernel/process-identity.js';
import type { Bundle } from '../../oci/index.js';
import type { OciContext } from './context.js';
import { warning } from './log.js';

const FOLDER = 'notify';
const SOCKET = 'notify.sock';
const IN_CONTAINER = '/run/notify';

/** How long the manager may take to have read what it was told: those that know no barrier never answer. As runc has it. */
const BARRIER_MS = 30_000;
/** Of a message: sd_notify(3) knows no bound, systemd reads a page. */
const MAX_BYTES = 4096;
const MAX_FDS = 253;
const READABLE = 1;
const READABLE_OR_CLOSED = 1 | 4;

/** Where the manager listens: undefined where nobody waits. */
function manager(): string | undefined {
  return process.env.NOTIFY_SOCKET || undefined;
}

/** Shows the container the folder in which its socket will be. */
export function withNotifySocket(bundle: Bundle, root: string, id: string): Bundle {
  const { config } = bundle;
  if (manager() === undefined || config.process === undefined) return bundle;
  const folder = join(resolve(root), id, FOLDER);
  const mount = {
    destination: IN_CONTAINER,
    source: folder,
    options: ['bind', 'nosuid', 'noexec', 'nodev', 'ro'],
  };
  const env = [...(config.process.env ?? []), `NOTIFY_SOCKET=${join(IN_CONTAINER, SOCKET)}`];
  return {
    ...bundle,
    ownFolder: folder,
    config: { ...config, mounts: [...(config.mounts ?? []), mount], process: { ...config.process, env } },
  };
}

/** That folder, in the state directory: it goes with it. @param made called once it is there, before the container is */
export function notifyFolder(
  root: string,
  id: string,
  made?: (stateDirectory: string) => void,
): CreateOptions['folder'] {
  if (manager() === undefined) return undefined;
  const fill = (stateDirectory: string) => {
    mkdirSync(join(stateDirectory, FOLDER), { mode: 0o755 });
    made?.(stateDirectory);
  };
  return { path: join(resolve(root), id, FOLDER), fill };
}

/** Listens for a container that is to be started; undefined where nobody waits, or nobody did when it was created. */
export function listenForReady(stateDirectory: string): ReadyListener | undefined {
  const path = manager();
  if (path === undefined) return undefined;
  let folder: OwnedFd;
  try {
    folder = new OwnedFd(native.open(join(stateDirectory, FOLDER), O_PATH | O_DIRECTORY | O_CLOEXEC));
  } catch (error) {
    if (error instanceof TareError && error.syscall?.errno === 'ENOENT') return undefined;
    throw error;
  }
  using _folder = folder;
  return new ReadyListener(path, native.bindDatagramAt(folder.fd, SOCKET, 0o777));
}

/** Starts a container, and waits until it is ready, where a manager wants to know. */
export async function startAndNotify(context: OciContext, container: Container): Promise<void> {
  const listener = listenForReady(join(context.root, container.id));
  try {
    await container.start();
    await listener?.relay((sentence) => warning(context.globals, sentence), container.state().pid);
  } finally {
    listener?.close();
  }
}

export class ReadyListener {
  readonly #manager: string;
  readonly #socket: OwnedFd;

  constructor(manager: string, socket: number) {
    this.#manager = manager;
    this.#socket = new OwnedFd(socket);
  }

  /**
   * Waits until the program says that it is ready, and tells the manager whom to watch from then on. Resolves also when the process
   * has ended; the service's program runs by then, so that what fails here is a warning.
   * @param pid the container's first process; undefined when it has ended already
   * @param mainPid whom the manager is to watch
   */
  async relay(onWarning: (sentence: string) => void, pid: number | undefined, mainPid = pid): Promise<void> {
    try {
      if ((await this.#ready(pid)) && mainPid !== undefined) await tell(this.#manager, mainPid);
    } catch (error) {
      if (!(error instanceof TareError)) throw error;
      onWarning(`NOTIFY_SOCKET=${this.#manager}: the service manager does not hear that it is ready: ${error.message}`);
    } finally {
      this.close();
    }
  }

  close(): void {
    this.#socket.close();
  }

  /** False when the process has ended without a word. */
  async #ready(pid: number | undefined): Promise<boolean> {
    const identity = pid === undefined ? undefined : identityOf(pid);
    using pidfd = identity && openProcess(identity);
    if (pidfd === undefined) return this.#heardReady();
    const watchers: Watcher[] = [];
    try {
      return await new Promise<boolean>((resolve, reject) => {
        const look = (ended: boolean) => {
          try {
            const ready = this.#heardReady();
            if (ready || ended) resolve(ready);
          } catch (error) {
            reject(error);
          }
        };
        watchers.push(native.watch(this.#socket.fd, READABLE, () => look(false)));
        watchers.push(native.watch(pidfd.fd, READABLE, () => look(true)));
      });
    } finally {
      for (const watcher of watchers) watcher.close();
    }
  }

  /** Reads what has come. Descriptors that came with it (a barrier of the program's own) are closed, which answers it. */
  #heardReady(): boolean {
    for (;;) {
      try {
        const message = native.recvmsg(this.#socket.fd, MAX_BYTES, MAX_FDS);
        if (message === null) return false;
        closeAll(message.fds);
        if (message.data.toString().split('\n').includes('READY=1')) return true;
      } catch (error) {
        // One that is too long: not read, and not passed on.
        if (!(error instanceof TareError && error.syscall?.errno === 'EMSGSIZE')) throw error;
      }
    }
  }
}

/** Tells the manager, and waits until it has read that: `tare-oci` ends then, and systemd asks who it was that told. */
async function tell(path: string, mainPid: number): Promise<void> {
  using socket = new OwnedFd(native.connectDatagram(path));
  const [read, write] = native.pipe();
  using end = new OwnedFd(read);
  using other = new OwnedFd(write);
  native.sendmsg(socket.fd, Buffer.from('READY=1\n'));
  native.sendmsg(socket.fd, Buffer.from(`MAINPID=${mainPid}\n`));
  native.sendmsg(socket.fd, Buffer.from('BARRIER=1'), [other.fd]);
  other.close();
  await closedOrLate(end.fd);
}

function closedOrLate(fd: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      watcher.close();
      resolve();
    };
    const timer = setTimeout(done, BARRIER_MS);
    const watcher = native.watch(fd, READABLE_OR_CLOSED, done);
  });
}
