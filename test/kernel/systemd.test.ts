/** What is said to systemd, without one: names of scopes, properties, and D-Bus messages as bytes. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { annotatedProperties } from '../../runtime/kernel/systemd/annotations.js';
import { SystemdConnection } from '../../runtime/kernel/systemd/connection.js';
import { type DBusValue, marshal, unmarshal, type Variant } from '../../runtime/kernel/systemd/marshal.js';
import { limitProperties } from '../../runtime/kernel/systemd/properties.js';
import { scopeOf } from '../../runtime/kernel/systemd/scope-name.js';
import { failureOf } from './support.js';

describe('the name of a scope', () => {
  it.each([
    ['system.slice:docker:1234', 'docker-1234.scope', '/system.slice/docker-1234.scope'],
    ['a-b-c.slice:cri:x', 'cri-x.scope', '/a.slice/a-b.slice/a-b-c.slice/cri-x.scope'],
    ['-.slice:x:y', 'x-y.scope', '/x-y.scope'],
    [':libpod:1', 'libpod-1.scope', '/system.slice/libpod-1.scope'],
    ['machine.slice::1', '1.scope', '/machine.slice/1.scope'],
    [undefined, 'tare-box.scope', '/system.slice/tare-box.scope'],
    ['', 'tare-box.scope', '/system.slice/tare-box.scope'],
  ])('%s is %s at %s', (cgroupsPath, unit, path) => {
    expect(scopeOf(cgroupsPath, 'box', 0)).toMatchObject({ unit, path, uid: 0 });
  });

  it('of a user lies below that user’s manager', () => {
    expect(scopeOf('user.slice:libpod:1', 'box', 1000).path).toBe(
      '/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1.scope',
    );
  });

  it.each([
    [
      '/docker/1234',
      'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/docker/1234" instead',
    ],
    ['a:b:c:d', 'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "a:b:c:d" instead'],
    ['../x.slice:a:b', '"../x.slice" is no slice of systemd'],
    ['a--b.slice:a:b', '"a--b.slice" is no slice of systemd'],
    ['system:a:b', '"system" is no slice of systemd'],
    ['system.slice:a:../b', '"a-../b.scope" is no name of a systemd unit'],
    ['system.slice:a:', '"a-.scope" is no name of a systemd unit'],
    ['system.slice:a:b.slice', '"b.slice" is a slice; a container gets a scope'],
    [`system.slice:a:${'x'.repeat(300)}`, `"a-${'x'.repeat(300)}.scope" is no name of a systemd unit`],
  ])('%s is refused', (cgroupsPath, why) => {
    expect(failureOf(() => scopeOf(cgroupsPath, 'box', 0))).toMatchObject({
      code: 'config',
      path: 'linux.cgroupsPath',
      message: `linux.cgroupsPath: ${why}`,
    });
  });
});

describe('a message', () => {
  it('has each value at its place, and comes back as it was', () => {
    const signature = 'ssa(sv)a(sa(sv))ub';
    const values = [
      'unit',
      'replace',
      [
        ['PIDs', { signature: 'au', value: [1, 2] }],
        ['MemoryMax', { signature: 't', value: 2n ** 64n - 1n }],
      ],
      [],
      7,
      1,
    ] as const;
    expect(unmarshal(signature, marshal(signature, values))).toEqual(values);
    // The example of the specification's alignment: a byte, then a number at the next multiple of 4.
    expect([...marshal('yu', [1, 2])]).toEqual([1, 0, 0, 0, 2, 0, 0, 0]);
    // An empty array of structs is padded to 8, which its length does not count.
    expect([...marshal('a(sv)', [[]])]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('that ends too early is refused', () => {
    expect(failureOf(() => unmarshal('s', Buffer.of(200, 0, 0, 0, 65))).code).toBe('protocol');
  });
});

it('limits are what systemd calls them', () => {
  const limits = {
    memory: { limit: 100, swap: 150, reservation: 50 },
    cpu: { shares: 1024, quota: 50_500, period: 100_000, cpus: '0-2,9' },
    pids: { limit: 0 },
  };
  const plain = (version: 1 | 2) =>
    Object.fromEntries(limitProperties(limits, version).map(([name, { value }]) => [name, value]));
  const both = {
    CPUQuotaPeriodUSec: 100_000,
    CPUQuotaPerSecUSec: 510_000,
    TasksMax: 1,
    AllowedCPUs: Uint8Array.of(0b111, 0b10),
  };
  expect(plain(2)).toEqual({ ...both, MemoryMax: 100, MemorySwapMax: 50, MemoryLow: 50, CPUWeight: 100 });
  expect(plain(1)).toEqual({ ...both, MemoryLimit: 100, CPUShares: 1024 });
  expect(limitProperties({ pids: { limit: -1 } }, 2)).toEqual([
    ['TasksMax', { signature: 't', value: 2n ** 64n - 1n }],
  ]);
});

it('properties that annotations name are as gdbus writes them', () => {
  const properties = annotatedProperties({
    'org.systemd.property.CollectMode': "'inactive-or-failed'",
    'org.systemd.property.KillSignal': '37',
    'org.systemd.property.TimeoutStopUSec': 'uint64 90000000',
    'org.systemd.property.TimeoutStartSec': '2',
    'org.systemd.property.RuntimeMaxUSec': 'uint64 18446744073709551615',
    'org.systemd.property.After': "['a.service', 'b.service']",
    'org.systemd.property.DefaultDependencies': 'true',
    'com.example.other': 'x',
  });
  expect(Object.fromEntries(properties.map(([name, { signature, value }]) => [name, [signature, value]]))).toEqual({
    CollectMode: ['s', 'inactive-or-failed'],
    KillSignal: ['i', 37n],
    TimeoutStopUSec: ['t', 90_000_000n],
    TimeoutStartUSec: ['t', 2_000_000n],
    RuntimeMaxUSec: ['t', 2n ** 64n - 1n],
    After: ['as', ['a.service', 'b.service']],
    DefaultDependencies: ['b', true],
  });
  const refused = (name: string, value: string) =>
    failureOf(() => annotatedProperties({ [`org.systemd.property.${name}`]: value })).message;
  expect(refused('A', 'true')).toBe('annotations["org.systemd.property.A"] names no property of systemd');
  expect(refused('Slice', 'x; y')).toBe(
    'annotations["org.systemd.property.Slice"] has no value that is understood: x; y',
  );
  expect(refused('TimeoutStopSec', "'x'")).toMatch(/ is no number of seconds: 'x'$/);
  expect(refused('TimeoutStopSec', '-1')).toMatch(/ is no number of seconds: -1$/);
  expect(refused('TimeoutStopSec', 'uint64 18446744073709551615')).toMatch(/ is no number of seconds: /);
  // What does not fit in its type must not become another number.
  for (const number of ['4294967297', 'uint32 4294967296', 'uint32 -1', 'uint64 -1', 'uint64 18446744073709551616'])
    expect(refused('TasksMax', number)).toMatch(/ has no value that is understood: /);
  const [[, value] = []] = annotatedProperties({
    'org.systemd.property.CPUQuotaPeriodUSec': 'uint64 18446744073709551615',
  });
  expect(unmarshal('v', marshal('v', [value as Variant]))).toEqual([value]);
});

describe('a connection', () => {
  /** A manager that lets everybody in, and says this at once; it answers the first call, or goes. */
  async function withManager(
    letIn: Buffer,
    onCall: (socket: Socket) => void,
    work: (systemd: SystemdConnection) => Promise<void>,
  ): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'tare-systemd-'));
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', () => {
        socket.write(letIn);
        socket.once('data', () => onCall(socket));
      });
    });
    try {
      server.listen(join(folder, 'private'));
      await once(server, 'listening');
      using systemd = await SystemdConnection.connect(join(folder, 'private'));
      await work(systemd);
    } finally {
      server.close();
      rmSync(folder, { recursive: true });
    }
  }

  const PADDED = 8;
  /** A message without a body. @param type 2 answers the call of serial 1, 4 is a signal */
  function message(type: 2 | 4): Buffer {
    const fields = type === 2 ? [[5, { signature: 'u', value: 1 }]] : [[3, { signature: 's', value: 'JobRemoved' }]];
    const header = marshal('yyyyuua(yv)', ['l'.charCodeAt(0), type, 0, 1, 0, 7, fields] as readonly DBusValue[]);
    return Buffer.concat([header, Buffer.alloc((PADDED - (header.length % PADDED)) % PADDED)]);
  }
  const ping = { path: '/', interface: 'a.b', member: 'Ping', signature: '', body: [] };

  it('hears what a busy manager says together with letting us in', async () => {
    const letIn = Buffer.concat([Buffer.from('OK 1234\r\n'), message(4)]);
    const heard: string[] = [];
    await withManager(
      letIn,
      (socket) => socket.write(message(2)),
      async (systemd) => {
        systemd.onSignal = ({ member }) => heard.push(member);
        expect(await systemd.call(ping)).toEqual([]);
        expect(heard).toEqual(['JobRemoved']);
      },
    );
  });

  it('that is lost fails the call that waits, and every later one', async () => {
    await withManager(
      Buffer.from('OK 1234\r\n'),
      (socket) => socket.destroy(),
      async (systemd) => {
        await expect(systemd.call(ping)).rejects.toMatchObject({ code: 'protocol' });
        await expect(systemd.call(ping)).rejects.toMatchObject({ code: 'protocol' });
      },
    );
  });

  it('is refused to who is not let in', async () => {
    await expect(
      withManager(
        Buffer.from('REJECTED EXTERNAL\r\n'),
        () => undefined,
        async () => undefined,
      ),
    ).rejects.toMatchObject({
      code: 'permission',
    });
  });
});
