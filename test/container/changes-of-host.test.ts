/** A path of a namespace that leads to the runtime's own: what would be set there is set on the host. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exampleConfig } from '../../runtime/container/example-config.js';
import { type PrepareOptions, prepare } from '../../runtime/container/index.js';
import { type Config, type NamespaceType, validConfig } from '../../runtime/oci/index.js';
import { temporaryRootfs } from '../harness/rootfs.js';

let files: ReturnType<typeof temporaryRootfs>;
beforeAll(() => {
  files = temporaryRootfs();
});
afterAll(() => files.remove());

const FILES = { network: 'net', uts: 'uts', ipc: 'ipc' } as const;

function prepared(type: keyof typeof FILES, change: (config: Config) => Config, more: Partial<PrepareOptions> = {}) {
  const example = exampleConfig({ cgroupNamespace: false });
  const namespaces = example.linux?.namespaces?.map((namespace) =>
    namespace.type === type ? { type, path: `/proc/self/ns/${FILES[type]}` } : namespace,
  );
  const config = change({ ...example, hostname: undefined, linux: { ...example.linux, namespaces } });
  return prepare({
    bundle: { path: files.rootfs, rootfs: files.rootfs, config: validConfig(config) },
    id: `changes-${process.pid}`,
    ...more,
  });
}

const withSysctl =
  (name: string) =>
  (config: Config): Config => ({ ...config, linux: { ...config.linux, sysctl: { [name]: '1' } } });

type Case = [type: keyof typeof FILES, what: string, change: (config: Config) => Config, path: string];

const CASES: readonly Case[] = [
  ['uts', 'a name', (config) => ({ ...config, hostname: 'box' }), 'hostname'],
  ['uts', 'a domain', withSysctl('kernel.domainname'), 'linux.sysctl["kernel.domainname"]'],
  ['ipc', 'a parameter', withSysctl('kernel.msgmax'), 'linux.sysctl["kernel.msgmax"]'],
  ['network', 'a parameter', withSysctl('net.ipv4.ip_forward'), 'linux.sysctl["net.ipv4.ip_forward"]'],
];

const moved: Case = [
  'network',
  'a device',
  (config) => ({ ...config, linux: { ...config.linux, netDevices: { dummy0: {} } } }),
  'linux.netDevices',
];

describe('the runtime’s own namespace, joined', () => {
  it.each([...CASES, moved])('%s, with %s of its own, is refused', (type, _, change, path) => {
    expect(() => prepared(type, change)).toThrow(expect.objectContaining({ code: 'config', path }));
  });

  it.each(['uts', 'ipc', 'network'] as const)('%s is fine as it is', (type) => {
    expect(prepared(type, (config) => config).plan.lanes.inside?.length).toBeGreaterThan(0);
  });
});

describe('another namespace, joined', () => {
  it.each(CASES)('%s may have %s of its own', (type, _, change) => {
    const joined = { own: new Set<NamespaceType>(), ofJoinedUser: new Set<NamespaceType>() };
    expect(prepared(type, change, { joined }).plan.lanes.inside?.length).toBeGreaterThan(0);
  });
});
