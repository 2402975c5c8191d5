/** What the kernel refuses the store: a full disk, and a store of somebody else, have codes of their own, since people can do something about them. */
import { TareError } from '../../kernel/error.js';
import { isUnmakable } from '../../kernel/files.js';

/** The same error, or TareError: `no-space` where the disk, or the quota, is full; `permission`. `doing` says what could not be done. */
export function storeFailure(error: unknown, doing: string): unknown {
  const errno = error instanceof TareError ? error.syscall?.errno : (error as NodeJS.ErrnoException | undefined)?.code;
  if (errno === 'ENOSPC') return noSpace('no space left on its disk', doing, error);
  if (errno === 'EDQUOT') return noSpace('the disk quota is used up', doing, error);
  if (errno === 'EROFS') return refused('its file system is read-only', doing, error);
  if (error instanceof TareError) return error; // Of calls of our own it is a sentence already, and may be about something else.
  if (errno === 'EACCES' || errno === 'EPERM') return refused('it belongs to somebody else', doing, error);
  if (isUnmakable(error)) return refused(`no folder can be made at ${error.path}`, doing, error);
  return error;
}

export function isNoSpace(error: unknown): boolean {
  return error instanceof TareError && error.code === 'no-space';
}

function refused(why: string, doing: string, cause: unknown): TareError {
  return new TareError('permission', `${doing}: ${why}; --root or TARE_ROOT names another place`, { cause });
}

function noSpace(why: string, doing: string, cause: unknown): TareError {
  return new TareError('no-space', `${doing}: ${why}; "tare image prune" removes what nothing uses`, { cause });
}
