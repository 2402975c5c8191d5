/** What the kernel refuses the store: a full disk has a code of its own, since people can do something about it. */
import { TareError } from '../../kernel/error.js';

/** The same error, or TareError `no-space` where the disk, or the quota, is full. `doing` says what could not be done. */
export function storeFailure(error: unknown, doing: string): unknown {
  const errno = error instanceof TareError ? error.syscall?.errno : (error as NodeJS.ErrnoException | undefined)?.code;
  if (errno === 'ENOSPC') return noSpace('no space left on its disk', doing, error);
  if (errno === 'EDQUOT') return noSpace('the disk quota is used up', doing, error);
  return error;
}

export function isNoSpace(error: unknown): boolean {
  return error instanceof TareError && error.code === 'no-space';
}

function noSpace(why: string, doing: string, cause: unknown): TareError {
  return new TareError('no-space', `${doing}: ${why}; "tare image prune" removes what nothing uses`, { cause });
}
