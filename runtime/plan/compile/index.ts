/** The compiler's face: config.json to the plan that creates the container. */
export type { Caller, CompileInput, JoinedNamespaces } from './compilation.js';
export { type Compiled, CREATE, compileCreate } from './create.js';
export type { MovedDevice } from './net-devices.js';
export { preservedNumber } from './program.js';
export { RESCTRL, resctrlFolders } from './resctrl.js';
