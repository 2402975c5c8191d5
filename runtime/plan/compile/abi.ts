/**
 * The numbers of the kernel's interface that compiled plans use: those of runtime/kernel/constants, and the few that only
 * plans need, each from the header named above it.
 */
export * from '../../kernel/constants/clone.js';
export * from '../../kernel/constants/magic.js';
export * from '../../kernel/constants/mount.js';
export * from '../../kernel/constants/open.js';
export * from '../../kernel/constants/prctl.js';

// <linux/stat.h>
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;

// <linux/close_range.h>
export const CLOSE_RANGE_CLOEXEC = 4;
/** The highest descriptor number that close_range(2) can name. */
export const ALL_DESCRIPTORS = 0xffff_ffff;

// <linux/netlink.h>
export const NETLINK_ROUTE = 0;

/** dev_t as mknod(2) takes it: new_encode_dev of the kernel. */
export function makedev(major: number, minor: number): number {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}
