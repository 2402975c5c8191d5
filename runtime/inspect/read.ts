/**
 * Bounded reads of /proc/PID, with the errors that a person understands: a process that is not there, or that may not be
 * looked at. A ProcSource may be a hostile guest, so whatever comes back is checked before it is believed; text that the
 * kernel does not write is a TareError with code `protocol`. See proc(5).
 */
import { TareError } from '../kernel/error.js';
import type { ProcSource } from './proc-source.js';

/** PID_MAX_LIMIT of <linux/threads.h> on 64 bit machines. */
const PID_MAX = 4_194_304;

/** The path of a process's file. @throws TareError `usage` for what is no process id. */
export function procPath(pid: number, name: string): string {
  if (!Number.isInteger(pid) || pid < 1 || pid > PID_MAX) {
    throw new TareError('usage', `not a process id: ${pid} (an integer from 1 to ${PID_MAX})`);
  }
  return `/proc/${pid}/${name}`;
}

/**
 * Reads /proc/PID/name as text.
 *
 * @throws TareError `not-found` when the process is gone, `permission` when the kernel refuses, `protocol` when it is too long.
 */
export async function readText(source: ProcSource, pid: number, name: string, maxBytes = 65_536): Promise<string> {
  const path = procPath(pid, name);
  try {
    return (await source.readFile(path, maxBytes)).toString('utf8');
  } catch (error) {
    throw explain(error, pid, path);
  }
}

/** Reads the symbolic link /proc/PID/name. @throws as {@link readText}. */
export async function readLink(source: ProcSource, pid: number, name: string): Promise<string> {
  const path = procPath(pid, name);
  try {
    return await source.readlink(path);
  } catch (error) {
    throw explain(error, pid, path);
  }
}

/** The sentence for a failed read of a process. A TareError (a machine that is gone, say) passes as it is. */
export function explain(error: unknown, pid: number, path: string): TareError {
  if (error instanceof TareError) return error;
  const code = errorCode(error);
  switch (code) {
    case 'ENOENT':
    case 'ESRCH':
      return new TareError('not-found', `process ${pid} does not exist, or has ended (${path}: ${code})`, {
        cause: error,
        path,
      });
    case 'EACCES':
    case 'EPERM':
      return new TareError(
        'permission',
        `process ${pid} may not be looked at (${path}: ${code}): be root, or the user that the process runs as`,
        { cause: error, path },
      );
    case 'EFBIG':
      return new TareError('protocol', `${path} is larger than the kernel writes it`, { cause: error, path });
    default:
      return new TareError('system-call', `${path} cannot be read: ${code ?? String(error)}`, { cause: error, path });
  }
}

/** `ENOENT` of a Node error; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof TareError) return errorCode(error.cause);
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/**
 * What the read gives; null where the kernel refuses it, or has nothing there. A machine that is gone or lies, and every
 * fault of our own, is thrown on.
 */
export async function unlessRefused<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch (error) {
    const refused = error instanceof TareError && ['permission', 'not-found', 'system-call'].includes(error.code);
    if (refused || (!(error instanceof TareError) && errorCode(error)?.startsWith('E'))) return null;
    throw error;
  }
}

/** A decimal number as the kernel writes it. @throws TareError `protocol` for anything else, or beyond 2^53. */
export function parseNumber(text: string | undefined, where: string): number {
  const value = text !== undefined && /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw malformed(where, text ?? '');
  return value;
}

export function malformed(where: string, text: string): TareError {
  return new TareError('protocol', `${where} is not as the kernel writes it: ${JSON.stringify(text.slice(0, 120))}`);
}
