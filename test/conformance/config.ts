/**
 * The config.json that the cases start from: a container as an engine makes it, with every namespace but the user's and its
 * cgroup below the world's. A case changes what it is about. Loosely typed on purpose: cases also write what is invalid.
 */

export interface TestMount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
  [more: string]: unknown;
}

export interface TestHook {
  path: string;
  args?: string[];
  env?: string[];
  timeout?: number;
}

export interface TestProcess {
  terminal?: boolean;
  cwd: string;
  args: string[];
  env: string[];
  user: { uid: number; gid: number; [more: string]: unknown };
  capabilities?: Record<string, string[]>;
  [more: string]: unknown;
}

export interface TestConfig {
  ociVersion: string;
  root: { path: string; readonly?: boolean };
  process: TestProcess;
  hostname?: string;
  mounts: TestMount[];
  hooks?: Record<string, TestHook[]>;
  linux: {
    namespaces: { type: string; path?: string }[];
    cgroupsPath: string;
    resources: Record<string, unknown>;
    [more: string]: unknown;
  };
  [more: string]: unknown;
}

/** What runs until it is killed: process 1 ignores every signal that it has no handler for, except SIGKILL. */
export const FOREVER = ['sleep', '1000'];

export const CAPABILITIES = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];

export function baseConfig(cgroupsPath: string): TestConfig {
  const safe = ['nosuid', 'noexec', 'nodev'];
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    process: {
      cwd: '/',
      args: FOREVER,
      env: ['PATH=/usr/bin:/bin', 'TERM=xterm'],
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      noNewPrivileges: true,
    },
    hostname: 'conformance',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...safe, 'mode=1777', 'size=65536k'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...safe, 'ro'] },
    ],
    linux: {
      namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
      cgroupsPath,
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      maskedPaths: ['/proc/kcore', '/sys/firmware'],
      readonlyPaths: ['/proc/sys'],
    },
  };
}

/** The same in a user namespace in which root is `hostId` outside. The case gives the rootfs to that user where it matters. */
export function inUserNamespace(config: TestConfig, hostId = 100_000): void {
  config.linux.namespaces.push({ type: 'user' });
  config.linux.uidMappings = [{ containerID: 0, hostID: hostId, size: 65536 }];
  config.linux.gidMappings = [{ containerID: 0, hostID: hostId, size: 65536 }];
}

/** Without one kind of namespace: the container shares the runtime's. */
export function withoutNamespace(config: TestConfig, type: string): void {
  config.linux.namespaces = config.linux.namespaces.filter((namespace) => namespace.type !== type);
}
