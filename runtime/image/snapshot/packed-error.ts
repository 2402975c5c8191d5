/** Errors from thread to thread: what is cloned on the way loses its class and its own properties, so they are taken apart and put together again. */
import { type ErrorCode, type FailedCall, TareError } from '../../kernel/error.js';

export interface PackedError {
  readonly message: string;
  /** A TareError's, or an errno's name. */
  readonly code?: string;
  readonly isOurs: boolean;
  readonly syscall?: FailedCall;
  readonly path?: string;
  readonly cause?: PackedError;
}

/** Causes of causes: as many as anybody reads. */
const MAX_CAUSES = 4;

export function packError(error: unknown, depth = 0): PackedError {
  if (!(error instanceof Error)) return { message: String(error), isOurs: false };
  const { code, syscall, path } = error as Partial<TareError>;
  const isOurs = error instanceof TareError;
  return {
    message: error.message,
    isOurs,
    ...(typeof code === 'string' && { code }),
    // Node's own errors have the name of the call there.
    ...(isOurs && syscall && { syscall }),
    ...(typeof path === 'string' && { path }),
    ...(error.cause !== undefined && depth < MAX_CAUSES && { cause: packError(error.cause, depth + 1) }),
  };
}

export function unpackError({ message, code, isOurs, syscall, path, cause }: PackedError): Error {
  const more = { ...(cause && { cause: unpackError(cause) }) };
  if (!isOurs) return Object.assign(new Error(message, more), { ...(code && { code }), ...(path && { path }) });
  return new TareError(code as ErrorCode, message, {
    ...more,
    ...(syscall && { syscall }),
    ...(path !== undefined && { path }),
  });
}
