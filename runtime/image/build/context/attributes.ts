/**
 * The extended attributes that are copied with a file: `user.*`, and capabilities. Those of overlay, SELinux and ACLs belong to the file
 * system they are on. xattr(7)
 */
import { native } from '../../../kernel/addon.js';
import { TareError } from '../../../kernel/error.js';

export interface Attribute {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** In the order of their names. `fd` may be an O_PATH one. */
export function copiedAttributes(fd: number): Attribute[] {
  return namesOf(fd)
    .filter((name) => isCopied(name.toString('latin1')))
    .sort((a, b) => a.compare(b))
    .flatMap((name) => {
      const value = native.getxattr(fd, name);
      return value === null ? [] : [{ name, value }];
    });
}

/** Whether it is one of those, by its name. */
export function isCopied(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}

function namesOf(fd: number): Buffer[] {
  try {
    return native.listxattr(fd);
  } catch (error) {
    // Symbolic links of some file systems have none, and say so in this way.
    if (error instanceof TareError && ['EPERM', 'ENOTSUP', 'EOPNOTSUPP'].includes(error.syscall?.errno ?? ''))
      return [];
    throw error;
  }
}
