/** The compiler's face: config.json to the plan that creates the container. */
export type { Caller, CompileInput } from './compilation.js';
export { type Compiled, compileCreate, INIT, LISTENER, START, STATE } from './create.js';
export { candidates } from './program.js';
export { CONSOLE } from './terminal.js';
