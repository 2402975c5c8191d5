/** What `tare-oci spec` writes: valid, and with few rights. */
import { describe, expect, it } from 'vitest';
import { exampleConfig } from '../../runtime/container/example-config.js';
import { validConfig } from '../../runtime/oci/index.js';

describe('a config.json to begin with', () => {
  it('is valid, and the same when it is read', () => {
    const config = exampleConfig();
    expect(validConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it('is a shell with a terminal and few rights in a read-only folder', () => {
    expect(exampleConfig()).toMatchObject({
      root: { path: 'rootfs', readonly: true },
      process: {
        terminal: true,
        args: ['sh'],
        noNewPrivileges: true,
        capabilities: { bounding: ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'] },
      },
      linux: { resources: { devices: [{ allow: false, access: 'rwm' }] } },
    });
  });

  it('sees its own cgroup where that hides nothing that scripts look for', () => {
    const types = (cgroupNamespace: boolean) =>
      exampleConfig({ cgroupNamespace }).linux?.namespaces?.map(({ type }) => type);
    expect(types(false)).toEqual(['pid', 'network', 'ipc', 'uts', 'mount']);
    expect(types(true)).toEqual(['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup']);
  });

  it('of a user who is not root needs nothing that only root may', () => {
    const config = exampleConfig({ rootless: { uid: 1000, gid: 100 }, cgroupNamespace: false });
    expect(validConfig(config)).toEqual(config);
    expect(config.linux).toMatchObject({
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'user'].map((type) => ({ type })),
      uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 100, size: 1 }],
    });
    expect(config.linux).not.toHaveProperty('resources');
    expect(config.mounts?.find(({ destination }) => destination === '/sys')).toMatchObject({
      source: '/sys',
      options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'],
    });
    expect(config.mounts?.flatMap(({ options }) => options).filter((option) => /^[ug]id=/.test(option ?? ''))).toEqual(
      [],
    );
  });
});
