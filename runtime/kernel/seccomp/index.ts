/**
 * The face of the seccomp compiler: profiles in, classic BPF out, and the ways to look at the result.
 */
export { ACTION_NAMES, describeReturn, RET } from './actions.js';
export {
  ARCHITECTURE_NAMES,
  type Architecture,
  AUDIT_ARCH,
  nativeArchitecture,
  syscallName,
  syscallTable,
  X32_BIT,
} from './architectures.js';
export { decodeProgram, type Instruction } from './bpf.js';
export { type CompiledFilter, compileSeccomp } from './compile.js';
export { type DefaultProfileOptions, defaultFilter, defaultProfile } from './default-profile.js';
export { disassemble } from './disassemble.js';
export { type Decision, decide } from './explain.js';
export { checkProgram, interpret, type SeccompData } from './interpret.js';
export {
  FLAG_NAMES,
  NEW_LISTENER,
  OPERATOR_NAMES,
  type SeccompProfile,
  type SyscallArg,
  type SyscallRule,
} from './profile.js';
