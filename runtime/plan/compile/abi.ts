/** The numbers of the kernel's interface that compiled plans use, gathered from runtime/kernel. */
export * from '../../kernel/constants/clone.js';
export * from '../../kernel/constants/close-range.js';
export * from '../../kernel/constants/magic.js';
export * from '../../kernel/constants/mount.js';
export * from '../../kernel/constants/open.js';
export * from '../../kernel/constants/prctl.js';
export * from '../../kernel/constants/stat.js';
export { NETLINK_ROUTE } from '../../kernel/netlink.js';

/** dev_t as mknod(2) takes it: new_encode_dev of the kernel. */
export function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0; // a dev_t has no sign
}
