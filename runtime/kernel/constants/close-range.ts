/** Flags of close_range(2), and its last descriptor when it means all. <linux/close_range.h>. */
export const CLOSE_RANGE_UNSHARE = 2;
export const CLOSE_RANGE_CLOEXEC = 4;
export const ALL_DESCRIPTORS = 0xffff_ffff;
