/** The compiler's face: config.json to the plan that creates the container. */
export type { Caller, CompileInput, JoinedNamespaces, Limit } from './compilation.js';
export { type Compiled, CREATE, compileCreate } from './create.js';
export { compileExec, EXEC, type ExecInput, execNamespace } from './exec.js';
export { HOOK_CALLS } from './hooks.js';
export { ID_HELPERS, type IdMaps, needsIdHelper } from './id-maps.js';
export { NAMESPACE_FLAGS } from './namespaces.js';
export type { MovedDevice } from './net-devices.js';
export { compileOwnUsers, type OwnUsers } from './own-users.js';
export { preservedFds } from './program.js';
export { RESCTRL, resctrlFolders } from './resctrl.js';
export { compileRestore, RESTORE_FDS, type RestoreInput, restoredStream } from './restore.js';
