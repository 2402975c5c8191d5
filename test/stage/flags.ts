/** The numbers of <linux/sched.h>, <linux/mount.h>, <linux/openat2.h> and <fcntl.h> that the tests of stage use. */
export const CLONE = {
  newns: 0x2_0000,
  newcgroup: 0x200_0000,
  newuts: 0x400_0000,
  newipc: 0x800_0000,
  newuser: 0x1000_0000,
  newpid: 0x2000_0000,
  newnet: 0x4000_0000,
  newtime: 0x80,
  parent: 0x8000,
} as const;

export const O = { rdonly: 0, wronly: 1, rdwr: 2, creat: 0o100, directory: 0o200000, path: 0o10000000 } as const;
export const RESOLVE_IN_ROOT = 0x10;
export const PR = { setPdeathsig: 1, setDumpable: 4, setNoNewPrivs: 38 } as const;
