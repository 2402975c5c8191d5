/** What becomes of a failed system call while a layer is written: the disk is full, the layer asks for what cannot be, or something else. */
import { TareError } from '../../kernel/error.js';
import { refused } from './names.js';
import { showName } from './tar/bytes.js';

/** What a file system refuses because of what the entry says, and not because of the state that it is in. */
const ENTRYS_FAULT: Readonly<Record<string, string>> = {
  ENAMETOOLONG: 'has a name that is too long',
  EXDEV: 'leaves the layer',
  ELOOP: 'leads through a symbolic link',
  EINVAL: 'asks for what the file system does not know, or has an owner who is not mapped here',
  EFBIG: 'is larger than a file can be',
  E2BIG: 'has an extended attribute that is too large',
  ERANGE: 'has an extended attribute that is too large',
  EMLINK: 'is one hard link too many',
  EEXIST: 'is there already',
  ENOENT: 'lies in a folder that is gone',
  ENOTDIR: 'lies below something that is no folder',
};

/** The error of an entry: TareError `protocol`, `no-space`, or what it was with the entry's name. */
export function entryError(error: unknown, name: Buffer | string): unknown {
  if (!(error instanceof TareError) || !error.syscall) return error;
  const { errno } = error.syscall;
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new TareError('no-space', `no space left for the layer's entry ${showName(name)}: ${error.message}`, {
      cause: error,
      syscall: error.syscall,
    });
  const fault = ENTRYS_FAULT[errno];
  if (fault)
    return Object.assign(refused(name, `${fault}: ${error.message}`), { cause: error, syscall: error.syscall });
  return new TareError(error.code, `the layer's entry ${showName(name)} cannot be made: ${error.message}`, {
    cause: error,
    syscall: error.syscall,
  });
}
