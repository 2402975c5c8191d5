/** The face of container/: `import { Container } from 'tare/container'`. */
export type { CheckpointOptions } from './checkpoint.js';
export { Container } from './container.js';
export { type DefaultOptions, defaultConfig, PATH } from './default-config.js';
export type { Exec, ExecOptions } from './exec.js';
export { changedProcess, type ProcessChanges } from './exec-process.js';
export type { ExitStatus } from './exit-status.js';
export { collectGarbage } from './gc.js';
export { homeOf } from './home.js';
export type { CreateOptions } from './launch.js';
export { removeOwnTree } from './own-users.js';
export { type Prepared, type PrepareOptions, prepare } from './prepare.js';
export type { RestoreOptions } from './restore.js';
export { userOf } from './users.js';
