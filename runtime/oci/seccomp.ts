/**
 * `linux.seccomp` of config.json, by the names that the compiler of kernel/seccomp knows. config-linux.md#seccomp; what the
 * fields mean together is in kernel/seccomp/profile.ts.
 */
import { ACTION_NAMES, ARCHITECTURE_NAMES, FLAG_NAMES, OPERATOR_NAMES } from '../kernel/seccomp/index.js';
import { exactU64, u32 } from './fields.js';
import { array, integer, object, optional, type TypeOf, text, word } from './schema.js';

const action = word(ACTION_NAMES);
const architecture = word(ARCHITECTURE_NAMES, 'an architecture of libseccomp, as SCMP_ARCH_X86_64');

const argument = object({
  index: integer(0, 5),
  value: exactU64,
  valueTwo: optional(exactU64),
  op: word(OPERATOR_NAMES),
});

const rule = object({
  names: array(text),
  action,
  errnoRet: optional(u32),
  args: optional(array(argument)),
});

export const seccompSchema = object({
  defaultAction: action,
  defaultErrnoRet: optional(u32),
  architectures: optional(array(architecture)),
  flags: optional(array(word(FLAG_NAMES))),
  listenerPath: optional(text),
  listenerMetadata: optional(text),
  syscalls: optional(array(rule)),
});

export type Seccomp = TypeOf<typeof seccompSchema>;
