/** A ProcSource made of text: files, links and failures by path, for machines that this one is not. */
import type { FileFacts, ProcSource } from '../../runtime/inspect/index.js';

export interface FakeFiles {
  /** Content by path; a name of an errno in angle brackets, `<EACCES>`, is that failure. */
  readonly files: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
}

export function fakeProc({ files, links = {} }: FakeFiles): ProcSource {
  return {
    readFile: async (path, maxBytes = 4 << 20) => {
      const data = Buffer.from(look(files, path));
      if (data.length > maxBytes) throw failure('EFBIG', path);
      return data;
    },
    readlink: async (path) => look(links, path),
    readdir: async (path) => {
      const below = [...Object.keys(files), ...Object.keys(links)].filter((name) => name.startsWith(`${path}/`));
      if (below.length === 0) throw failure('ENOENT', path);
      return [...new Set(below.map((name) => name.slice(path.length + 1).split('/')[0] as string))];
    },
    stat: async (path): Promise<FileFacts> => {
      look({ ...files, ...links }, path);
      return { dev: 1, ino: path.length, mode: 0o100644, uid: 0, gid: 0, size: 0, rdev: 0 };
    },
  };
}

function look(map: Readonly<Record<string, string>>, path: string): string {
  const value = map[path];
  if (value === undefined) throw failure('ENOENT', path);
  const code = /^<(E[A-Z]+)>$/.exec(value)?.[1];
  if (code) throw failure(code, path);
  return value;
}

export function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code, path });
}

export const STATUS = `Name:\tsleep
Umask:\t0022
State:\tS (sleeping)
Tgid:\t42
Ngid:\t0
Pid:\t42
PPid:\t7
TracerPid:\t0
Uid:\t1000\t1001\t1002\t1003
Gid:\t100\t100\t100\t100
FDSize:\t64
Groups:\t4 24 100 
NStgid:\t42\t1
NSpid:\t42\t1
Threads:\t3
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000200001
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t2
`;

/** With the start time in field 22. */
export function stat(comm: string, startTime: number | string = 5000, pid = 42): string {
  return `${pid} (${comm}) S 7 42 42 34816 42 4194560 1 2 3 4 5 6 7 8 20 0 3 0 ${startTime} 1024 100 18446744073709551615 1 1 0\n`;
}

const NS: Readonly<Record<string, number>> = { cgroup: 1, ipc: 2, mnt: 3, net: 4, pid: 5, time: 6, user: 7, uts: 8 };

/** A whole process 42, in namespaces of its own but for those of time and user, beside pid 1. */
export function wholeProcess(): { files: Record<string, string>; links: Record<string, string> } {
  const ns = (pid: number, add: number) =>
    Object.entries(NS).map(([type, n]) => [
      `/proc/${pid}/ns/${type}`,
      `${type}:[${['time', 'user'].includes(type) ? n : n + add}]`,
    ]);
  return {
    files: {
      '/proc/42/stat': stat('sleep'),
      '/proc/42/status': STATUS,
      '/proc/42/cmdline': 'sleep\x00100\x00',
      '/proc/42/mountinfo': '30 20 0:30 / / rw,relatime - overlay overlay rw\n31 30 0:31 / /proc rw - proc proc rw\n',
      '/proc/42/cgroup': '0::/box\n',
      '/proc/42/uid_map': '         0          0 4294967295\n',
      '/proc/42/gid_map': '         0          0 4294967295\n',
      '/proc/42/limits': `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max open files            1024                 524288               files     
Max nice priority         0                    0                    
`,
      '/proc/42/oom_score': '666\n',
      '/proc/42/oom_score_adj': '-500\n',
      '/proc/42/attr/current': 'docker-default (enforce)\n',
      '/proc/42/fd/0': '',
      '/proc/42/fd': '',
      '/proc/42/fd/1': '',
      '/proc/self/mountinfo': '20 1 0:20 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
      '/sys/fs/cgroup/box/cgroup.controllers': 'cpu memory pids\n',
      '/sys/fs/cgroup/box/memory.max': '67108864\n',
      '/sys/fs/cgroup/box/pids.max': 'max\n',
    },
    links: Object.fromEntries([
      ...ns(42, 100),
      ...ns(1, 0),
      ['/proc/42/root', '/'],
      ['/proc/42/cwd', '/'],
      ['/proc/42/exe', '/usr/bin/sleep'],
      ['/proc/1/root', '/'],
    ]),
  };
}
