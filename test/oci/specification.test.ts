/**
 * What the schema of the runtime specification calls good and bad: for each of its own test documents (schema/test/config)
 * one of ours that keeps or breaks the same rule, and one with every field for Linux at once. config.md, config-linux.md.
 */
import { describe, expect, it } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import { checkConfig, parseConfig } from '../../runtime/oci/index.js';
import { everything } from './everything.js';

const least = { ociVersion: '1.0.0', root: { path: 'rootfs' } };

describe('a document that the schema refuses', () => {
  it.each<[theirs: string, rule: string, document: string, path: string | undefined]>([
    ['invalid-json', 'a document is JSON', '{"ociVersion": "1.0.0"', undefined],
    [
      'linux-hugepage',
      'the unit of a page size is in capitals',
      JSON.stringify({ ...least, linux: { resources: { hugepageLimits: [{ pageSize: '2Mb', limit: 4096 }] } } }),
      'linux.resources.hugepageLimits[0].pageSize',
    ],
    [
      'linux-rdma',
      'a number of handles is a number',
      JSON.stringify({ ...least, linux: { resources: { rdma: { rxe0: { hcaHandles: '12' } } } } }),
      'linux.resources.rdma["rxe0"].hcaHandles',
    ],
    [
      'linux-netdevice',
      'the name of a device is a string',
      JSON.stringify({ ...least, linux: { netDevices: { dummy0: { name: 0 } } } }),
      'linux.netDevices["dummy0"].name',
    ],
    [
      'freebsd-vnet-disable',
      'the network stack of a jail is new or inherited',
      JSON.stringify({ ...least, ociVersion: '1.3.0', freebsd: { jail: { vnet: 'disable' } } }),
      'freebsd.jail.vnet',
    ],
  ])('as %s: %s', (_theirs, _rule, document, path) => {
    let thrown: unknown;
    try {
      parseConfig(document);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TareError);
    expect(thrown).toMatchObject({ code: 'config', ...(path !== undefined && { path }) });
    expect((thrown as TareError).message).toContain(path ?? 'is not valid JSON');
  });
});

describe('a document that the schema takes is valid', () => {
  it.each<[theirs: string, document: object]>([
    ['minimal', least],
    ['minimal-for-start', { ...least, process: { cwd: '/', args: ['true'], user: { uid: 0, gid: 0 } } }],
    ['linux-netdevice', { ...least, linux: { netDevices: { dummy0: { name: 'eth0' }, dummy1: {} } } }],
    ['linux-rdma', { ...least, linux: { resources: { rdma: { rxe0: { hcaHandles: 1 }, rxe1: { hcaObjects: 2 } } } } }],
    ['freebsd-minimal', { ...least, freebsd: {} }],
    ['freebsd-example', { ...least, hostname: 'box', freebsd: { jail: { vnet: 'new', enforceStatfs: 1 } } }],
    ['zos-minimal', { ...least, zos: {} }],
    ['zos-example', { ...least, hostname: 'box', zos: { namespaces: [{ type: 'pid' }, { type: 'ipc', path: '/n' }] } }],
    ['spec-example', { ...everything(), ociVersion: '0.5.0-dev' }],
  ])('as %s', (_theirs, document) => {
    expect(checkConfig(document).faults).toEqual([]);
  });
});

it('has every field of the specification for Linux', () => {
  const { config, faults } = checkConfig(everything());
  expect(faults).toEqual([]);
  expect(config).toEqual(everything());
});
