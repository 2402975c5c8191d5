/**
 * A config.json to begin with, as `tare-oci spec` writes it: a shell with a terminal in the folder `rootfs`, which is read-only, with
 * few capabilities and the mounts and limits that a container usually has. The same as runc's, so that scripts that edit
 * that one find what they look for.
 */
import { detectCgroups } from '../kernel/cgroup/index.js';
import { type Config, type Mount, type NamespaceType, OCI_VERSION } from '../oci/index.js';
import { defaultMounts, MASKED_PATHS, PATH, READONLY_PATHS } from './default-config.js';

export interface ExampleOptions {
  /** Whose container it is, when they are not root: the only user it has. */
  readonly rootless?: { readonly uid: number; readonly gid: number };
  /** Whether it sees its own cgroup only. On version 1 scripts look for the whole path, so there it does not. */
  readonly cgroupNamespace?: boolean;
}

export function exampleConfig({ rootless, cgroupNamespace = onVersion2() }: ExampleOptions = {}): Config {
  const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];
  const namespaces: NamespaceType[] = [
    'pid',
    // Without root nothing could connect it to anywhere.
    ...(rootless ? [] : (['network'] as const)),
    'ipc',
    'uts',
    'mount',
    ...(cgroupNamespace ? (['cgroup'] as const) : []),
    ...(rootless ? (['user'] as const) : []),
  ];
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: [PATH, 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'tare',
    mounts: rootless ? defaultMounts(true).map(boundSys) : defaultMounts(false),
    linux: {
      ...(rootless && {
        uidMappings: [{ containerID: 0, hostID: rootless.uid, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: rootless.gid, size: 1 }],
      }),
      ...(!rootless && { resources: { devices: [{ allow: false, access: 'rwm' }] } }),
      namespaces: namespaces.map((type) => ({ type })),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
  };
}

/** A new sysfs is only for who owns the network namespace (sysfs(5)); the host's is shown instead. */
function boundSys(mount: Mount): Mount {
  if (mount.destination !== '/sys') return mount;
  const options = ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'];
  return { destination: '/sys', type: 'none', source: '/sys', options };
}

function onVersion2(): boolean {
  return detectCgroups().layout === 'v2';
}
