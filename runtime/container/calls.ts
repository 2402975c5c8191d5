/**
 * What a plan hands over to TypeScript, by the name of its call step: the one place that knows who answers what. Whoever runs the
 * lane answers: the creator, and after the gate whoever starts the container.
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { identityOf } from '../kernel/process-identity.js';
import { annotatedProperties } from '../kernel/systemd/annotations.js';
import { scopeVersion, startScope } from '../kernel/systemd/scope.js';
import { type Config, OCI_VERSION } from '../oci/index.js';
import { CREATE, HOOK_CALLS, ID_HELPERS, type IdMaps } from '../plan/index.js';
import { hookState, runRuntimeHooks } from './hooks.js';
import { mapIds } from './id-helpers.js';
import { journal } from './journal.js';
import { sendListener } from './notify.js';
import type { StateDirectory } from './state-directory.js';
import type { StoredState } from './stored-state.js';

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
  [CREATE.scope]: makeScope,
  [ID_HELPERS.uidMappings]: (context, fd) => passIds('uidMappings', context, fd),
  [ID_HELPERS.gidMappings]: (context, fd) => passIds('gidMappings', context, fd),
  [HOOK_CALLS.run]: (context) =>
    runRuntimeHooks(context, (pid) => {
      const hook = identityOf(pid);
      if (hook) journal(context.directory, { undo: 'hook', process: hook });
    }),
  [HOOK_CALLS.creating]: (context) => hookState(context, 'creating'),
  [HOOK_CALLS.created]: (context) => hookState(context, 'created'),
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

/** The user namespace of the container's first process, or of the bridge, waits for its maps. */
async function passIds(maps: IdMaps, { config }: CallContext, fd: number | undefined): Promise<undefined> {
  if (fd === undefined)
    throw new TareError('protocol', 'a process whose ids are to be mapped came without its descriptor');
  try {
    await mapIds(maps, config, fd);
  } finally {
    native.close(fd);
  }
}

/** systemd moves the container's first process into a scope that it makes for it. */
async function makeScope({ state: { id, scope, cgroup, init }, config }: CallContext): Promise<undefined> {
  if (scope === undefined) throw new TareError('internal', `the container ${id} has no scope`);
  if (init === undefined) throw new TareError('state', `the first process of ${id} has ended`);
  const properties = annotatedProperties(config.annotations);
  await startScope(scope, init.pid, config.linux?.resources ?? {}, scopeVersion(cgroup), properties);
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
