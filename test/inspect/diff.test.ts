import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { diffFacts, inspectProcess, localProc, type ProcessFacts } from '../../runtime/inspect/index.js';
import { fakeProc, wholeProcess } from './fake-proc.js';

const facts = await inspectProcess(fakeProc(wholeProcess()), 42);
const [overlay, proc] = facts.mounts as [ProcessFacts['mounts'][0], ProcessFacts['mounts'][0]];
const changes = (after: Partial<ProcessFacts>) => diffFacts(facts, { ...facts, ...after });
const texts = (after: Partial<ProcessFacts>) => changes(after).map((change) => change.text);

test('nothing has changed; running or sleeping is no change', () => {
  expect(changes({ state: 'R', startTime: 1 })).toEqual([]);
});

test('namespaces: a new one, one that was joined, and that of its children', () => {
  const { namespaces, machine } = facts;
  expect(changes({ namespaces: { ...namespaces, net: 999 } })).toEqual([
    { area: 'namespace', what: 'changed', name: 'net', before: '104', after: '999', text: 'net namespace: 104 -> 999' },
  ]);
  expect(texts({ namespaces: { ...namespaces, net: machine.namespaces.net } })).toEqual([
    'net namespace: 104 -> 4 (the machine’s)',
  ]);
  expect(texts({ namespaces: { ...namespaces, pid_for_children: 999 } })).toEqual([
    'pid namespace of its children: none -> 999',
  ]);
});

test('mounts in the same namespace are known by their ids', () => {
  const tmpfs = { ...proc, id: 99, fsType: 'tmpfs', source: 'tmpfs', mountPoint: '/tmp' };
  expect(texts({ mounts: [overlay, proc, tmpfs] })).toEqual(['mounted tmpfs tmpfs at /tmp [rw,private]']);
  expect(texts({ mounts: [overlay] })).toEqual(['no longer mounted: proc proc at /proc [rw,private]']);
  expect(texts({ mounts: [overlay, { ...proc, mountPoint: '/new/proc' }] })).toEqual([
    'mount of proc: /proc -> /new/proc',
  ]);
  expect(texts({ mounts: [overlay, { ...proc, options: ['ro', 'nosuid'], shared: 4 }] })).toEqual([
    'mount at /proc: rw,private -> ro,nosuid,shared',
  ]);
});

test('with a new root all mounts are seen elsewhere: one change', () => {
  const below = (root: string) => [
    { ...overlay, mountPoint: root || '/' },
    { ...proc, mountPoint: `${root}/proc` },
    { ...proc, id: 50, mountPoint: `${root}/proc/sys` },
  ];
  const before = { ...facts, mounts: below('/a/rootfs') };
  expect(diffFacts(before, { ...facts, mounts: below('') }).map((change) => change.text)).toEqual([
    '3 mounts, seen from another root: /a/rootfs -> /',
  ]);
});

test('one that has ended has nothing left: that is one change', () => {
  expect(changes({ state: 'Z', exe: null, mounts: [], namespaces: {} })).toEqual([
    expect.objectContaining({ area: 'process', name: 'state', before: 'alive', after: 'zombie' }),
  ]);
});

test('mounts in a new namespace are copies: only what differs from the original counts', () => {
  const namespaces = { ...facts.namespaces, mnt: 999 };
  const copies = facts.mounts.map((mount) => ({ ...mount, id: mount.id + 1000, parent: mount.parent + 1000 }));
  expect(changes({ namespaces, mounts: copies }).map((change) => change.area)).toEqual(['namespace']);
  expect(
    changes({ namespaces, mounts: copies.slice(1) }).map((change) => [change.area, change.what, change.name]),
  ).toEqual([
    ['namespace', 'changed', 'mnt'],
    ['mount', 'removed', '/'],
  ]);
});

test('a name of the process’s choice cannot move the cursor', () => {
  expect(texts({ cmdline: ['\x1b[2J'] })).toEqual(['command: sleep 100 -> \\x1b[2J']);
});

test('capabilities lost and won, by set', () => {
  const capabilities = { ...facts.capabilities, effective: ['CAP_CHOWN', 'CAP_KILL'] };
  expect(changes({ capabilities })).toEqual([
    expect.objectContaining({
      area: 'capability',
      what: 'removed',
      name: 'effective',
      text: 'effective capabilities lost: CAP_SYS_ADMIN',
    }),
    expect.objectContaining({
      area: 'capability',
      what: 'added',
      name: 'effective',
      text: 'effective capabilities won: CAP_KILL',
    }),
  ]);
});

test('most capabilities lost: what is left is the shorter list', () => {
  expect(texts({ capabilities: { ...facts.capabilities, bounding: ['CAP_KILL'], effective: [] } })).toEqual([
    'effective capabilities lost: all',
    'bounding capabilities lost: all but CAP_KILL',
  ]);
});

test('the rest', () => {
  expect(texts({ uids: { real: 0, effective: 0, saved: 0, filesystem: 0 }, groups: [] })).toEqual([
    'uids: real 1000, effective 1001, saved 1002, filesystem 1003 -> 0',
    'groups: 4 24 100 -> none',
  ]);
  expect(texts({ seccomp: { mode: 'filter', filters: 3 }, noNewPrivs: false, label: null })).toEqual([
    'seccomp: filter (2) -> filter (3)',
    'no_new_privs: on -> off',
    'security label: docker-default (enforce) -> none',
  ]);
  expect(texts({ root: { path: '/jail', dev: 1, ino: 7 }, exe: null })).toEqual([
    'program: /usr/bin/sleep -> none',
    `root directory: / (inode ${facts.root?.ino} of device 1) -> /jail (inode 7 of device 1)`,
  ]);
  expect(texts({ uidMap: [{ inside: 0, outside: 1000, length: 1 }], gidMap: [] })).toEqual([
    'uid map: 0 is 0 (4294967295 ids) -> 0 is 1000 (1 ids)',
    'gid map: 0 is 0 (4294967295 ids) -> none',
  ]);
  expect(
    texts({
      cgroups: facts.cgroups.map((one) => ({ ...one, path: '/other' })),
      limits: { ...facts.limits, pids: { own: 5, effective: 5, from: '/x' } },
    }),
  ).toEqual(['cgroup v2: /box -> /other', 'process limit: unlimited -> 5']);
  expect(
    texts({ resourceLimits: { ...facts.resourceLimits, RLIMIT_NOFILE: { soft: 3, hard: null } }, descriptors: 9 }),
  ).toEqual(['RLIMIT_NOFILE: 1024/524288 -> 3/unlimited', 'open descriptors: 2 -> 9']);
});

test('a real process that leaves namespaces, gives up rights and enters a new root', async (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip('needs root');
  const after = 'setpriv --no-new-privs --bounding-set=-sys_admin sh -c "echo ready; read line; :"';
  const child = spawn(
    'sh',
    ['-c', `echo ready; read line; exec unshare --uts --net --mount --propagation private ${after}`],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  try {
    await once(child.stdout, 'data');
    const source = localProc();
    const before = await inspectProcess(source, child.pid as number);
    child.stdin.write('\n');
    await once(child.stdout, 'data');
    const list = diffFacts(before, await inspectProcess(source, child.pid as number));
    expect(list.filter((change) => change.area === 'namespace').map((change) => change.name)).toEqual([
      'mnt',
      'net',
      'uts',
    ]);
    expect(list.filter((change) => change.area === 'mount' && change.what !== 'changed')).toEqual([]);
    expect(list.map((change) => change.text)).toEqual(
      expect.arrayContaining(['no_new_privs: off -> on', 'bounding capabilities lost: CAP_SYS_ADMIN']),
    );
  } finally {
    child.stdin.end();
    child.kill('SIGKILL');
  }
});
