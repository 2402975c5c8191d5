/** What engines send, where it is at the edge of the specification or beyond: taken, as they rely on it. */
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../runtime/oci/index.js';
import type { Json } from './minimal.js';

/** What all have in common. */
const base = (more: Json = {}, process: Json = {}, linux: Json = {}): Json => ({
  ociVersion: '1.0.2-dev',
  root: { path: '/var/lib/engine/merged' },
  hostname: 'c0ffee',
  process: {
    cwd: '/',
    args: ['sh'],
    env: ['PATH=/bin'],
    user: { uid: 0, gid: 0 },
    capabilities: { bounding: ['CAP_CHOWN'], effective: ['CAP_CHOWN'], permitted: ['CAP_CHOWN'] },
    ...process,
  },
  linux: {
    namespaces: ['mount', 'network', 'uts', 'pid', 'ipc', 'cgroup'].map((type) => ({ type })),
    ...linux,
  },
  ...more,
});

describe('a config.json of', () => {
  it.each<[string, string]>([
    [
      'dockerd: limits of 0 that ask for nothing, and the swappiness of -1',
      JSON.stringify(
        base(
          {
            hooks: { prestart: [{ path: '/proc/912/exe', args: ['libnetwork-setkey', '-exec-root=/var/run/docker'] }] },
          },
          { consoleSize: { height: 0, width: 0 }, user: { uid: 0, gid: 0, additionalGids: [0, 10] }, oomScoreAdj: 0 },
          {
            sysctl: {
              'net.ipv4.ip_unprivileged_port_start': '0',
              'net.ipv4.ping_group_range': '0 2147483647',
              'kernel.domainname': 'example.org',
            },
            cgroupsPath: '/docker/c0ffee',
            resources: {
              devices: [
                { allow: false, access: 'rwm' },
                { allow: true, type: 'c', major: 136, access: 'rwm' },
                { allow: false, type: 'c', major: 4, minor: 0, access: 'rwm' },
              ],
              memory: { limit: 67_108_864, swap: -1, swappiness: 7_777, disableOOMKiller: false },
              cpu: { shares: 0, realtimeRuntime: 0, realtimePeriod: 0 },
              pids: { limit: 0 },
              blockIO: { weight: 0 },
            },
            mountLabel: '',
            rootfsPropagation: 'rslave',
          },
        ),
      ).replace('7777', '18446744073709551615'),
    ],
    [
      'containerd: null for what is empty, and a user namespace both joined and mapped',
      JSON.stringify(
        base(
          {
            ociVersion: '1.1.0',
            annotations: { 'io.kubernetes.cri.container-type': 'sandbox' },
            mounts: null,
            hooks: null,
          },
          {
            apparmorProfile: '',
            selinuxLabel: '',
            rlimits: null,
            oomScoreAdj: -998,
            user: { uid: 65_535, gid: 65_535 },
          },
          {
            namespaces: [
              { type: 'pid' },
              { type: 'mount' },
              { type: 'uts', path: '/proc/815/ns/uts' },
              { type: 'user', path: '/proc/815/ns/user' },
            ],
            uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
            gidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
            cgroupsPath: '/kubepods/besteffort/pod1/c0ffee',
            resources: {
              cpu: { shares: 2, quota: 0, period: 100_000, cpus: '', mems: '' },
              unified: {},
              hugepageLimits: null,
            },
          },
        ),
      ),
    ],
    [
      'Podman: types in the modes of devices, a umask, a private cgroup namespace, limits as large as they can be',
      JSON.stringify(
        base(
          { ociVersion: '1.1.0+dev', annotations: { 'org.opencontainers.image.stopSignal': '15' } },
          {
            user: { uid: 0, gid: 0, umask: 18, additionalGids: [10] },
            rlimits: [
              { type: 'RLIMIT_NOFILE', hard: 1_048_576, soft: 1_048_576 },
              { type: 'RLIMIT_NPROC', hard: 7_777, soft: 4_194_304 },
            ],
          },
          {
            namespaces: [
              { type: 'network', path: '/run/netns/netns-1' },
              ...['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
            ],
            sysctl: { 'net.ipv4.ping_group_range': '0 0' },
            devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o20666, uid: 0, gid: 0 }],
            resources: {
              pids: { limit: 2048 },
              devices: [{ allow: true, type: 'c', major: 10, minor: 229, access: 'rwm' }],
            },
          },
        ),
      ).replace('7777', '18446744073709551615'),
    ],
  ])('%s', (_, json) => {
    expect(parseConfig(json)).toMatchObject({ process: { args: ['sh'] } });
  });
});
