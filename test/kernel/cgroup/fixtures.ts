/** Machines of each layout, as far as /proc and the cgroup file systems show them. */
import { dirname } from 'node:path';
import type { CgroupFiles } from '../../../runtime/kernel/cgroup/index.js';

/** Files by path. Every directory on the way is there; a path that ends in a slash is an empty directory. */
export function fixture(files: Readonly<Record<string, string>>, readOnly: readonly string[] = []): CgroupFiles {
  const directories = new Set<string>();
  for (const path of Object.keys(files)) {
    for (let folder = dirname(`${path}x`); folder !== '/'; folder = dirname(folder)) directories.add(folder);
  }
  return {
    read: (path) => files[path],
    isDirectory: (path) => directories.has(path),
    isWritable: (path) => directories.has(path) && !readOnly.some((root) => path.startsWith(root)),
  };
}

const mount = (id: number, root: string, point: string, type: string, options: string) =>
  `${id} 1 0:${id} ${root} ${point} rw,nosuid shared:${id} - ${type} ${type} rw,${options}`;

/** Debian 12 with systemd, in a login session of root. */
export const V2 = {
  '/proc/self/mountinfo': [
    '1 0 8:1 / / rw - ext4 /dev/sda1 rw',
    mount(2, '/', '/sys/fs/cgroup', 'cgroup2', 'nsdelegate,memory_recursiveprot'),
  ].join('\n'),
  '/proc/self/cgroup': '0::/user.slice/session-1.scope\n',
  '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory hugetlb pids rdma misc\n',
  '/sys/fs/cgroup/cgroup.subtree_control': 'cpu memory pids\n',
  '/sys/fs/cgroup/user.slice/session-1.scope/cgroup.type': 'domain\n',
  '/sys/fs/cgroup/user.slice/session-1.scope/cgroup.controllers': 'memory pids\n',
  '/sys/fs/cgroup/user.slice/session-1.scope/cgroup.subtree_control': '\n',
  '/sys/fs/cgroup/user.slice/session-1.scope/cgroup.procs': '812\n900\n',
  '/sys/fs/cgroup/user.slice/session-1.scope/memory.swap.max': 'max\n',
  '/sys/fs/cgroup/user.slice/session-1.scope/cpu.max.burst': '0\n',
};

/** An older Debian: version 1 controllers, some of them together, and an empty version 2 hierarchy. */
export const HYBRID = {
  '/proc/self/mountinfo': [
    '1 0 8:1 / / rw - ext4 /dev/sda1 rw',
    '2 1 0:20 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755',
    mount(3, '/', '/sys/fs/cgroup/unified', 'cgroup2', 'nsdelegate'),
    mount(4, '/', '/sys/fs/cgroup/systemd', 'cgroup', 'xattr,name=systemd'),
    mount(5, '/', '/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'cpu,cpuacct'),
    mount(6, '/', '/sys/fs/cgroup/memory', 'cgroup', 'memory'),
    mount(7, '/', '/sys/fs/cgroup/pids', 'cgroup', 'pids'),
    mount(8, '/', '/sys/fs/cgroup/cpuset', 'cgroup', 'cpuset'),
    mount(9, '/', '/sys/fs/cgroup/devices', 'cgroup', 'devices'),
    mount(10, '/', '/sys/fs/cgroup/freezer', 'cgroup', 'freezer'),
    mount(11, '/', '/mnt/again', 'cgroup', 'memory'),
  ].join('\n'),
  '/proc/self/cgroup': [
    '8:freezer:/',
    '7:devices:/user.slice',
    '6:cpuset:/',
    '5:pids:/user.slice/session-1.scope',
    '4:memory:/user.slice',
    '3:cpu,cpuacct:/user.slice',
    '1:name=systemd:/user.slice/session-1.scope',
    '0::/user.slice/session-1.scope',
  ].join('\n'),
  '/sys/fs/cgroup/unified/cgroup.controllers': '\n',
  '/sys/fs/cgroup/unified/user.slice/session-1.scope/cgroup.procs': '1\n',
  '/sys/fs/cgroup/systemd/user.slice/session-1.scope/tasks': '1\n',
  '/sys/fs/cgroup/cpu,cpuacct/user.slice/cpu.cfs_burst_us': '0\n',
  '/sys/fs/cgroup/memory/user.slice/memory.memsw.limit_in_bytes': '9223372036854771712\n',
  '/sys/fs/cgroup/memory/user.slice/tasks': '1\n',
  '/sys/fs/cgroup/pids/user.slice/session-1.scope/pids.max': 'max\n',
  '/sys/fs/cgroup/cpuset/cpuset.cpus': '0-3\n',
  '/sys/fs/cgroup/cpuset/cpuset.mems': '0\n',
  '/sys/fs/cgroup/devices/user.slice/devices.list': 'a *:* rwm\n',
  '/sys/fs/cgroup/freezer/': '',
};

/** Inside a container of Docker on version 1, without a cgroup namespace: the mounts show only its part, at their root. */
export const V1_NESTED = {
  '/proc/self/mountinfo': [
    mount(3, '/docker/abc', '/sys/fs/cgroup/memory', 'cgroup', 'memory'),
    mount(4, '/docker/abc', '/sys/fs/cgroup/pids', 'cgroup', 'pids'),
    mount(5, '/docker/abc', '/sys/fs/cgroup/freezer', 'cgroup', 'freezer'),
  ].join('\n'),
  '/proc/self/cgroup': '5:freezer:/docker/abc\n4:pids:/docker/abc/mine\n3:memory:/docker/abc\n',
  '/sys/fs/cgroup/memory/tasks': '1\n',
  '/sys/fs/cgroup/pids/mine/tasks': '1\n',
  '/sys/fs/cgroup/freezer/tasks': '1\n',
};
