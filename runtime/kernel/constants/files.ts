/** Flags of renameat2(2), lseek(2) and setxattr(2), and the longest name, path and attributes. <linux/fs.h>, <linux/xattr.h>, <linux/limits.h>. */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
export const NAME_MAX = 255;
export const PATH_MAX = 4096;
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 65536;
/** chown(2): leave this id as it is. */
export const KEEP_ID = 0xffff_ffff;
