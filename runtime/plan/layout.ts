/**
 * Sizes and offsets of native/stage/protocol.h, for encode, decode and the driver. A test compiles a C program that prints
 * the same from the header and compares.
 */

export const PLAN_MAGIC = 'TAREPLAN';
export const PLAN_VERSION = 1;
export const PLAN_MAX_SIZE = 16 << 20;
/** AUDIT_ARCH_X86_64 of <linux/audit.h>. */
export const ARCH_X86_64 = 0xc000003e;

export const SLOT_NONE = -1;
export const SLOT_CWD = -100;

/** struct plan_header. */
export const HEADER = {
  size: 88,
  magic: 0,
  version: 8,
  arch: 12,
  stepsHash: 16,
  planSize: 48,
  slots: 52,
  given: 56,
  lanes: 60,
  laneSteps: 64,
  data: 80,
} as const;

/** struct plan_step. */
export const STEP = {
  size: 88,
  kind: 0,
  inputs: 2,
  outputs: 3,
  guardIf: 4,
  guardUnless: 6,
  tolerate: 8,
  output: 16,
  input: 24,
} as const;

/** struct report, and enum report_type. */
export const REPORT = { size: 32, type: 0, step: 4, error: 8, nameSize: 12, value: 16, ns: 24 } as const;
export const REPORT_TYPES = [
  'hello',
  'refused',
  'before',
  'done',
  'failed',
  'call',
  'give',
  'cloned',
  'supervising',
  'exited',
] as const;

/** struct reply, and enum reply_type. */
export const REPLY = { size: 16, type: 0, error: 4, value: 8 } as const;
export const REPLY_GO = 1;
export const REPLY_ANSWER = 2;
export const REPLY_ABORT = 3;
export const REPLY_SIGNAL = 4;

/** struct sup_request, struct sup_answer, enum supervisor_request. */
export const SUP_REQUEST = { size: 16, type: 0, min: 4, max: 8, value: 12 } as const;
export const SUP_ANSWER = { size: 32, type: 0, error: 4, version: 8, running: 12, pid: 16, status: 24 } as const;
export const SUP_HELLO = 1;
export const SUP_SIGNAL = 2;
export const SUP_STATUS = 3;
export const SUP_STDIO = 4;
export const SUPERVISOR_MIN = 1;
export const SUPERVISOR_MAX = 1;
