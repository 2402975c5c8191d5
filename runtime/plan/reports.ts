/**
 * What stage says about a plan: struct report of native/stage/protocol.h, decoded. The bytes are not trusted (they may
 * come from a virtual machine): a report is whole and of a known type, or it is a TareError (`protocol`).
 */
import { TareError } from '../kernel/error.js';
import { REPORT, REPORT_TYPES } from './layout.js';

export type ReportType = (typeof REPORT_TYPES)[number];

export interface Report {
  readonly type: ReportType;
  /** Index of the step within its lane. */
  readonly step: number;
  /** An errno, or 0. */
  readonly error: number;
  /** The name of a call or give; the system call that failed; why a plan was refused. */
  readonly name: string;
  readonly value: number;
  /** How long the step took, in nanoseconds. */
  readonly ns: number;
}

/** The longest report: the struct and a name. What is longer is refused. */
export const MAX_REPORT = REPORT.size + 480;

/** Decodes one message. Throws a TareError (`protocol`). */
export function decodeReport(data: Buffer): Report {
  if (data.length < REPORT.size || data.length > MAX_REPORT) lied(`a report of ${data.length} bytes`);
  const type =
    REPORT_TYPES[data.readUInt32LE(REPORT.type) - 1] ?? lied(`a report of type ${data.readUInt32LE(REPORT.type)}`);
  const nameSize = data.readUInt32LE(REPORT.nameSize);
  if (REPORT.size + nameSize !== data.length) lied(`a ${type} report whose name does not have the size that it says`);
  return {
    type,
    step: data.readUInt32LE(REPORT.step),
    error: data.readInt32LE(REPORT.error),
    name: nameSize === 0 ? '' : data.toString('utf8', REPORT.size),
    // As doubles: exact for everything that is a pid, a status or a time.
    value: data.readInt32LE(REPORT.value + 4) * 0x1_0000_0000 + data.readUInt32LE(REPORT.value),
    ns: data.readUInt32LE(REPORT.ns + 4) * 0x1_0000_0000 + data.readUInt32LE(REPORT.ns),
  };
}

function lied(what: string): never {
  throw new TareError('protocol', `stage sent ${what}`);
}
