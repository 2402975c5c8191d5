import { describe, expect, test } from 'vitest';
import { containment, describeFacts, inspectProcess, type ProcessFacts, visible } from '../../runtime/inspect/index.js';
import { DEFAULT_CAPABILITIES } from '../../runtime/kernel/capabilities.js';
import { fakeProc, wholeProcess } from './fake-proc.js';

const whole = await inspectProcess(fakeProc(wholeProcess()), 42);
const root = { path: '/', dev: 9, ino: 9 };
const none = { inheritable: [], permitted: [], effective: [], bounding: [], ambient: [] };
const mount = (mountPoint: string, fsType: string, more: Partial<ProcessFacts['mounts'][0]> = {}) => ({
  ...(whole.mounts[0] as ProcessFacts['mounts'][0]),
  mountPoint,
  fsType,
  ...more,
});
/** A well contained process. */
const good: ProcessFacts = {
  ...whole,
  root,
  namespaces: { ...whole.namespaces, user: 900, time: 901 },
  uids: { real: 100000, effective: 100000, saved: 100000, filesystem: 100000 },
  uidMap: [{ inside: 0, outside: 100000, length: 65536 }],
  capabilities: { ...none, effective: [...DEFAULT_CAPABILITIES] },
  mounts: [mount('/', 'overlay'), mount('/proc', 'proc'), mount('/proc/sys', 'proc', { options: ['ro'] })],
  limits: {
    memory: { own: 1024, effective: 1024, from: '/x' },
    pids: { own: 5, effective: 5, from: '/x' },
    cpu: { own: 1, effective: 1, from: '/x' },
  },
};
const finding = (change: Partial<ProcessFacts>, area: string) => {
  const found = containment({ ...good, ...change }).findings.filter((one) => one.area === area);
  return found.map(({ grade, text }) => `${grade}: ${text}`);
};

test('a well contained process has nothing to mend', () => {
  const { verdict, findings } = containment(good);
  expect(findings.filter((one) => one.grade !== 'contained')).toEqual([]);
  expect(verdict).toBe('container');
});

test('a process of the machine', () => {
  const host = { ...good, namespaces: good.machine.namespaces, root: good.machine.root };
  expect(containment(host)).toMatchObject({
    verdict: 'host',
    summary: expect.stringContaining('shares every namespace'),
  });
});

test('between the two: a chroot, a network of its own', () => {
  const chroot = { ...good, namespaces: good.machine.namespaces };
  expect(containment(chroot)).toMatchObject({ verdict: 'partial' });
  expect(finding({ namespaces: good.machine.namespaces }, 'root directory')).toEqual([
    expect.stringMatching(/^partly: .*chroot/),
  ]);
  const net = { ...good.machine.namespaces, net: 999 };
  expect(containment({ ...good, namespaces: net, root: good.machine.root }).summary).toContain(
    'its own net namespace,',
  );
});

test('where the machine cannot be seen, nothing is claimed', () => {
  const machine = { from: 'the reader', namespaces: {}, root: null } as const;
  const { verdict, findings } = containment({ ...good, machine });
  expect(verdict).toBe('partial');
  expect(findings.filter((one) => one.area.endsWith('namespace'))).toEqual([]);
});

describe('each gap is found', () => {
  const shared = (type: string) => ({
    namespaces: { ...good.namespaces, [type]: good.machine.namespaces[type as 'net'] },
  });

  test.each(['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'])('%s namespace of the machine', (type) => {
    expect(finding(shared(type), `${type} namespace`)).toEqual([expect.stringMatching(/^open: shared: /)]);
  });

  test('mounts', () => {
    const mounts = (...more: ProcessFacts['mounts']) => ({ mounts: [...good.mounts, ...more] });
    expect(finding(mounts(mount('/run/docker.sock', 'tmpfs', { root: '/docker.sock' })), 'mounts')[0]).toMatch(
      /^open: .*engine/,
    );
    expect(finding(mounts(mount('/dev', 'devtmpfs')), 'mounts')[0]).toMatch(/^open: .*devices/);
    expect(finding(mounts(mount('/sys', 'sysfs')), 'mounts')[0]).toMatch(/^partly: .*written/);
    expect(finding(mounts(mount('/data', 'ext4', { shared: 7 })), 'mounts')[0]).toMatch(/^partly: .*propagate/);
    expect(finding({ ...shared('user'), ...mounts(mount('/sys/fs/cgroup', 'cgroup2')) }, 'mounts')[0]).toMatch(
      /cgroup2/,
    );
    const bare = { ...shared('user'), mounts: [mount('/', 'overlay'), mount('/proc', 'proc')] };
    expect(finding(bare, 'mounts')).toEqual([expect.stringMatching(/\/proc\/sys can be written/)]);
  });

  test('capabilities', () => {
    const holding = (...names: string[]) => ({ ...shared('user'), capabilities: { ...none, effective: names } });
    expect(finding(holding('CAP_SYS_ADMIN'), 'capabilities')).toEqual([
      'open: 1; beyond Docker’s default: CAP_SYS_ADMIN',
    ]);
    expect(finding(holding('CAP_CHOWN', 'CAP_NET_ADMIN'), 'capabilities')[0]).toMatch(/^partly: 2; .*CAP_NET_ADMIN$/);
    expect(finding({ capabilities: { ...none, bounding: ['CAP_CHOWN'] }, noNewPrivs: false }, 'capabilities')).toEqual([
      'contained: none; a set-uid program can win 1',
    ]);
    expect(finding({ capabilities: { ...none, effective: ['CAP_SYS_ADMIN'] } }, 'capabilities')[0]).toMatch(
      /^partly: .*own user namespace/,
    );
  });

  test('users', () => {
    const uids = { real: 0, effective: 0, saved: 0, filesystem: 0 };
    expect(finding({ ...shared('user'), uids }, 'user')[0]).toMatch(/^open: uid 0/);
    expect(finding({ uids, uidMap: [{ inside: 0, outside: 0, length: 1 }] }, 'user')[0]).toMatch(
      /^partly: uid 0 inside is root/,
    );
    expect(finding({}, 'user')).toEqual(['contained: uid 0 inside is uid 100000 of the machine']);
    expect(finding({ uidMap: [] }, 'user')[0]).toContain('not mapped');
  });

  test('seccomp, no_new_privs and limits', () => {
    expect(finding({ seccomp: { mode: 'none', filters: 0 } }, 'seccomp')[0]).toMatch(/^open/);
    expect(finding({ noNewPrivs: false }, 'no_new_privs')[0]).toMatch(/^open/);
    expect(finding({ limits: {} }, 'memory')[0]).toMatch(/^open: no cgroup controller/);
    expect(finding({ limits: { memory: { own: null, effective: null, from: null } } }, 'memory')).toEqual([
      'open: unlimited',
    ]);
  });
});

describe('the page', () => {
  test('has the facts, section by section', () => {
    const sections = describeFacts(whole, { ...whole, pid: 77, namespaces: { ...whole.namespaces, net: 1 } });
    expect(sections.map((section) => section.title.split(' ')[0])).toEqual([
      'How',
      'Process',
      'Namespaces',
      'Capabilities',
      'Rights',
      'Cgroups',
      'Limits',
      'Resource',
      'Mounts',
    ]);
    const row = (section: number, name: string) => sections[section]?.rows.find((one) => one.name === name)?.value;
    expect(row(1, 'pid in each namespace')).toBe('42 > 1');
    expect(row(2, 'net')).toBe('104  its own  not as 77');
    expect(row(2, 'user')).toBe('7  shared  as 77');
    expect(row(3, 'effective')).toBe('CAP_CHOWN CAP_SYS_ADMIN');
    expect(row(4, 'seccomp')).toBe('filter, 2 attached');
    expect(row(6, 'memory')).toBe('64 MiB');
    expect(row(6, 'processes')).toBe('unlimited');
    expect(row(8, '/proc')).toBe('proc proc  rw,private');
  });

  test('lets no name move the cursor or turn the text', () => {
    const nasty = {
      ...whole,
      comm: '\x1b[2J',
      cmdline: ['a\nb', '\x1b]0;x\x07', '\u202Eevil'],
      mounts: [mount('/a\x1b[31m', 'tmpfs')],
    };
    const page = JSON.stringify(describeFacts(nasty));
    expect(page).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(page).toContain('\\\\x1b[31m');
    expect(visible('ümläut 漢字')).toBe('ümläut 漢字');
  });
});

test('mount points may hold every byte but those that the kernel escapes', async () => {
  const { files, links } = wholeProcess();
  const odd = '30 20 0:30 / /a\vb\rc\u00a0d\\040e rw - tmpfs none rw\n';
  const facts = await inspectProcess(fakeProc({ files: { ...files, '/proc/42/mountinfo': odd }, links }), 42);
  expect(facts.mounts.map((one) => one.mountPoint)).toEqual(['/a\vb\rc\u00a0d e']);
});
