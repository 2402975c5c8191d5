/**
 * What a plan hands over to TypeScript, by the name of its call step: the one place that knows who answers what. Whoever runs the
 * lane answers: the creator, and after the gate whoever starts the container.
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { type Config, OCI_VERSION } from '../oci/index.js';
import { CREATE } from '../plan/index.js';
import { sendListener } from './notify.js';
import type { StateDirectory, StoredState } from './state-directory.js';

/** The container in whose name the plan calls. */
export interface CallContext {
  readonly directory: StateDirectory;
  /** `init` is there as soon as its process is. */
  readonly state: Omit<StoredState, 'formatVersion'>;
  readonly config: Config;
}

/** Gets the descriptor that came along, and owns it; what it returns is sent back and closed. */
type Handler = (context: CallContext, fd: number | undefined) => Promise<number | undefined> | number | undefined;

const HANDLERS: Readonly<Record<string, Handler>> = {
  [CREATE.seccompListener]: passListener,
};

/** @throws whatever the handler throws: the step, and with it the plan, fails */
export async function answerCall(
  context: CallContext,
  name: string,
  fd: number | undefined,
): Promise<number | undefined> {
  const handler = HANDLERS[name];
  if (handler) return handler(context, fd);
  if (fd !== undefined) native.close(fd);
  throw new TareError('plan', `nothing answers calls of "${name}" here`, { cause: { code: 'ENOSYS' } });
}

/** The filter of the container's first process is loaded: its agent is told. */
function passListener({ state, config }: CallContext, fd: number | undefined): undefined {
  if (fd === undefined) throw new TareError('protocol', 'the seccomp listener came without its descriptor');
  try {
    const { id, status, bundle, annotations, init } = state;
    if (init === undefined) throw new TareError('state', `the first process of ${id} has ended`);
    sendListener(
      {
        state: { ociVersion: OCI_VERSION, id, status, pid: init.pid, bundle, ...(annotations && { annotations }) },
        pid: init.pid,
        seccomp: config.linux?.seccomp ?? {},
      },
      fd,
    );
  } finally {
    native.close(fd);
  }
}
