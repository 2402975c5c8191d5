/** Properties that every compiled plan has, whatever the configuration and the kernel. Nothing is run here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type DefaultOptions, defaultConfig, prepare } from '../../runtime/container/index.js';
import { ALL_CAPABILITIES } from '../../runtime/kernel/capabilities.js';
import { type Features, probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { type Config, validConfig } from '../../runtime/oci/index.js';
import { type Caller, checkPlan, encodePlan, type Plan, printPlan, type Step } from '../../runtime/plan/index.js';
import { ROOT as root } from '../harness/callers.js';

const rootfs = mkdtempSync(join(tmpdir(), 'tare-compile-'));
afterAll(() => rmSync(rootfs, { recursive: true }));

const features = probeFeatures();
const user: Caller = { ...root, uid: 1000, gid: 1000, capabilities: 0n };

function compile(config: Config, caller = root, kernel: Features = features, init = false): Plan {
  const valid = validConfig(JSON.parse(JSON.stringify(config)));
  return prepare({ bundle: { path: rootfs, rootfs, config: valid }, id: 'test', caller, features: kernel, init }).plan;
}

const defaults = (options: Partial<DefaultOptions> = {}, caller = root) =>
  defaultConfig({ rootfs, args: ['/bin/sh'], caller, ...options });

const inside = (plan: Plan): readonly Step[] => plan.lanes.inside ?? [];
const kinds = (plan: Plan) => inside(plan).map((step) => step.kind);
const find = <K extends Step['kind']>(plan: Plan, kind: K) =>
  inside(plan).filter((step): step is Extract<Step, { kind: K }> => step.kind === kind);
const position = (plan: Plan, is: (step: Step) => boolean) => inside(plan).findIndex(is);

/** What must hold of every plan. */
function checkProperties(plan: Plan): void {
  checkPlan(plan);
  expect(encodePlan(plan).length).toBeGreaterThan(0);
  for (const step of Object.values(plan.lanes).flat()) {
    expect(step.why.length).toBeGreaterThan(3);
    expect(step.field).not.toBe('');
  }
  expect(['exec', 'exec_fd']).toContain(inside(plan).at(-1)?.kind);
  expect(plan.lanes.outside.at(-1)?.kind).toBe('supervise');

  // No path of the root file system is given to the kernel but within the root, by descriptor.
  for (const step of find(plan, 'move_mount')) {
    expect(step.inputs).toMatchObject({ fromPath: '', toPath: '', to: { type: 'fd' } });
  }
  const pivot = position(plan, (step) => step.kind === 'pivot_root');
  for (const [i, step] of inside(plan).entries()) {
    if (step.kind !== 'mount') continue;
    expect(step.inputs.target === '/' || step.inputs.target.startsWith('/proc/self/fd/'), `step ${i}`).toBe(true);
    if (step.inputs.target.startsWith('/proc/')) expect(i).toBeLessThan(pivot);
  }

  // Every descriptor is closed before a name of the image is resolved; the working directory is checked at once.
  const closed = kinds(plan).indexOf('close_others');
  expect(closed).toBeGreaterThan(pivot);
  expect(kinds(plan).slice(closed + 1, closed + 5)).toEqual(['openat2', 'fchdir', 'expect_cwd', 'close']);
  expect(inside(plan)[closed + 1]?.inputs).toMatchObject({ resolve: 2 });

  // Rights go in this order.
  const order = ['pivot_root', 'setsid', 'cap_bound', 'capset', 'cap_ambient'] as const;
  expect(order.map((kind) => kinds(plan).lastIndexOf(kind))).toEqual(
    [...order.map((kind) => kinds(plan).lastIndexOf(kind))].sort((a, b) => a - b),
  );
  const filter = kinds(plan).indexOf('seccomp');
  const noNewPrivileges = position(plan, (step) => step.kind === 'prctl' && step.inputs.option === 38);
  if (filter >= 0 && noNewPrivileges >= 0) expect(filter).toBe(inside(plan).length - 2);
  if (filter >= 0 && noNewPrivileges < 0) expect(filter).toBeLessThan(kinds(plan).indexOf('cap_bound'));
}

describe('the default plan', () => {
  it.each<[string, Partial<DefaultOptions>, Caller]>([
    ['of root', {}, root],
    ['of a user', {}, user],
    ['with a terminal', { terminal: true, size: { columns: 80, rows: 24 } }, root],
    ['with a user', { user: { uid: 1000, gid: 100 }, terminal: true }, root],
    ['with a read-only root', { readonlyRoot: true }, root],
    ['with limits', { limits: { memory: 1 << 26, pids: 10 } }, root],
    [
      'with a volume',
      { mounts: [{ destination: '/vol', type: 'bind', source: rootfs, options: ['rbind', 'rro'] }] },
      root,
    ],
  ])('%s has the properties of every plan', (_, options, caller) => {
    checkProperties(compile(defaults(options, caller), caller));
  });

  it('starts init from its given descriptor', () => {
    const plan = compile(defaults({ args: ['a', 'b'] }), root, features, true);
    checkProperties(plan);
    expect(plan.given).toEqual(['state', 'listener', 'init']);
    expect(find(plan, 'exec_fd')[0]?.inputs.argv.slice(-2)).toEqual(['a', 'b']);
  });

  it('makes a device of the highest number that there is', () => {
    const { linux, ...rest } = defaults();
    const device = { type: 'b', path: '/dev/last', major: 0xfff, minor: 0xfffff } as const;
    const plan = compile({ ...rest, linux: { ...linux, devices: [device] } });
    checkProperties(plan);
    expect(find(plan, 'mknodat').at(-1)?.inputs.device).toBe(0xffff_ffff);
    expect(printPlan(plan)).toContain('makedev(4095, 1048575)');
  });

  it('makes a default device as the configuration has it, once', () => {
    const { linux, ...rest } = defaults();
    const device = { type: 'c', path: '/dev/zero', major: 1, minor: 5, fileMode: 0o600 } as const;
    const plan = compile({ ...rest, linux: { ...linux, devices: [device] } });
    checkProperties(plan);
    expect(find(plan, 'mknodat').filter(({ inputs }) => inputs.path === 'zero')).toMatchObject([
      { field: 'linux.devices[0]', inputs: { mode: 0o20600, device: 0x105 } },
    ]);
  });

  it('has a /dev/core where the kernel has /proc/kcore', () => {
    const core = (kernel: Features) =>
      find(compile(defaults(), root, kernel), 'symlinkat').filter(({ inputs }) => inputs.path === 'core');
    expect(core({ ...features, procKcore: true })).toMatchObject([{ inputs: { target: '/proc/kcore' } }]);
    expect(core({ ...features, procKcore: false })).toEqual([]);
  });

  it('verifies the number of a configured device that a user namespace shows', () => {
    const { linux, ...rest } = defaults({}, user);
    const device = { type: 'c', path: '/dev/tty', major: 1, minor: 5 } as const;
    const plan = compile({ ...rest, linux: { ...linux, devices: [device] } }, user);
    const checked = find(plan, 'expect_device').filter(({ field }) => field === 'linux.devices[0]');
    expect(checked).toMatchObject([{ inputs: { major: 1, minor: 5 } }]);
  });

  it.each([
    ['slave', 0],
    ['rslave', 0],
    ['rprivate', 0],
    ['shared', 1 << 20],
    ['rshared', (1 << 20) | (1 << 14)],
    ['runbindable', (1 << 17) | (1 << 14)],
  ] as const)('propagates mounts as %s', (rootfsPropagation, flags) => {
    const { linux, ...rest } = defaults();
    const plan = compile({ ...rest, linux: { ...linux, rootfsPropagation } });
    const [first, ...more] = find(plan, 'mount').filter(({ inputs }) => inputs.target !== '.');
    // Shared: the host's mounts stay as they are, but for the one that has the root.
    const begin = { slave: (1 << 14) | (1 << 19), shared: 1 << 18 }[rootfsPropagation.replace(/^r/, '')];
    expect(first?.inputs.flags).toBe(begin ?? (1 << 14) | (1 << 18));
    expect(more.map(({ inputs }) => inputs.flags)).toEqual(flags === 0 ? [] : [flags]);
  });

  it('makes the working directory before the root is read-only, unless it is the root', () => {
    const plan = compile(defaults({ cwd: '/srv/app', readonlyRoot: true }));
    checkProperties(plan);
    const made = position(plan, (step) => step.kind === 'mkdir_in_root' && step.inputs.path === '/srv/app');
    const closed = position(plan, (step) => step.field === 'root.readonly');
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(closed);
    expect(inside(compile(defaults())).filter(({ field }) => field === 'process.cwd').length).toBe(4);
  });

  it('has a user namespace for who is not root, mapped from outside', () => {
    const plan = compile(defaults({}, user), user);
    const written = plan.lanes.outside
      .filter((step) => step.kind === 'open_proc')
      .map((step) => (step.kind === 'open_proc' ? step.inputs.path : ''));
    expect(written).toEqual(['setgroups', 'uid_map', 'gid_map']);
    expect(find(plan, 'mknodat')).toEqual([]);
    expect(find(plan, 'setgroups')).toEqual([]);
    // Nobody may look into it once its ids are mapped.
    expect(position(plan, (step) => step.kind === 'prctl' && step.inputs.option === 4)).toBeLessThan(10);
  });

  it('looks for a program without a slash in PATH, with one nowhere else', () => {
    const exec = (args: string[], env: string[]) =>
      find(compile(defaults({ args, env })), 'exec')[0]?.inputs.candidates;
    expect(exec(['sh'], ['PATH=/a:/b::'])).toEqual(['/a/sh', '/b/sh', './sh', './sh']);
    expect(exec(['./sh'], [])).toEqual(['./sh']);
    expect(exec(['/bin/sh'], ['PATH=/a'])).toEqual(['/bin/sh']);
  });
});

describe('a poorer kernel', () => {
  it('without mount_setattr remounts by descriptor', () => {
    const plan = compile(defaults({ readonlyRoot: true }), root, withoutFeatures(features, 'mountSetattr'));
    checkProperties(plan);
    expect(find(plan, 'mount_setattr')).toEqual([]);
    expect(find(plan, 'mount').length).toBeGreaterThan(5);
  });

  it('without CLONE_INTO_CGROUP lets the process enter by itself', () => {
    const plan = compile(defaults(), root, withoutFeatures(features, 'cloneIntoCgroup'));
    checkProperties(plan);
    const clone = plan.lanes.outside.find((step) => step.kind === 'clone');
    expect(clone?.kind === 'clone' && clone.inputs.cgroup).toBe('none');
  });

  it.each(['openat2', 'newMountApi', 'openTree'] as const)('without %s is refused in one sentence', (name) => {
    expect(() => compile(defaults(), root, withoutFeatures(features, name))).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        message: expect.stringContaining(`has no ${name}, which Linux 5.`),
      }),
    );
  });

  it('without user namespaces says so to who is not root', () => {
    const kernel = withoutFeatures(features, 'userNamespaces');
    expect(() => compile(defaults({}, user), user, kernel)).toThrow(expect.objectContaining({ code: 'permission' }));
  });
});

describe('any configuration', () => {
  const option = fc.constantFrom(
    'ro',
    'rw',
    'nosuid',
    'nodev',
    'noexec',
    'noatime',
    'strictatime',
    'nodiratime',
    'private',
  );
  const mount = fc.record({
    destination: fc.constantFrom('/a', '/tmp', '/a/b', '/dev/x', '/../x', '/etc/../y'),
    type: fc.constantFrom('tmpfs', 'proc', 'mqueue', 'sysfs'),
    source: fc.constantFrom('tmpfs', 'x'),
    options: fc.array(option, { maxLength: 5 }),
  });
  const arbitrary = fc.record({
    extra: fc.array(mount, { maxLength: 4 }),
    drop: fc.subarray([0, 1, 2, 3, 4, 5, 6]),
    terminal: fc.boolean(),
    readonlyRoot: fc.boolean(),
    noNewPrivileges: fc.boolean(),
    oomScoreAdj: fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined }),
    uid: fc.constantFrom(0, 1, 65534, 2147483647),
    without: fc.subarray(['mountSetattr', 'cloneIntoCgroup'] as const),
    rootless: fc.boolean(),
  });

  it('gives a plan with the properties of every plan', () => {
    fc.assert(
      fc.property(arbitrary, (given) => {
        const caller = given.rootless ? user : root;
        // Without root there is one user in the container.
        const uid = given.rootless ? 0 : given.uid;
        const config = defaults(
          { terminal: given.terminal, readonlyRoot: given.readonlyRoot, user: { uid, gid: uid } },
          caller,
        );
        const mounts = [...(config.mounts ?? []).filter((_, i) => !given.drop.includes(i)), ...given.extra];
        const propagates = given.extra.some((m) => m.options.includes('private'));
        const { process } = config;
        if (!process) throw new Error('the default configuration has a process');
        const changed: Config = {
          ...config,
          mounts,
          process: {
            ...process,
            noNewPrivileges: given.noNewPrivileges,
            ...(given.oomScoreAdj !== undefined && { oomScoreAdj: given.oomScoreAdj }),
          },
        };
        const kernel = withoutFeatures(
          features,
          ...given.without.filter((name) => !(name === 'mountSetattr' && propagates)),
        );
        checkProperties(compile(changed, caller, kernel));
      }),
      { numRuns: 60 },
    );
  });
});

describe('what a bundle asks and cannot have', () => {
  const change = (edit: (config: { -readonly [K in keyof Config]: Config[K] }) => void) => {
    const config = JSON.parse(JSON.stringify(defaults())) as Config;
    edit(config);
    return () => compile(config);
  };

  it.each<[string, () => unknown, string]>([
    [
      'no mount namespace, and a user namespace',
      change((c) =>
        Object.assign(c.linux ?? {}, {
          namespaces: [{ type: 'user' }],
          uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
          gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        }),
      ),
      'has a user namespace and no mount namespace',
    ],
    [
      'tmpcopyup',
      change((c) => Object.assign(c, { mounts: [{ destination: '/a', type: 'proc', options: ['tmpcopyup'] }] })),
      'mounts[0] has the option "tmpcopyup", which only a tmpfs has',
    ],
    [
      'a mount without a type',
      change((c) => Object.assign(c, { mounts: [{ destination: '/a', source: 'x' }] })),
      'mounts[0].type is missing',
    ],
    [
      'a sysctl of the machine',
      change((c) => Object.assign(c.linux ?? {}, { sysctl: { 'kernel.panic': '1' } })),
      'is a setting of the whole machine',
    ],
    [
      'a sysctl with ..',
      change((c) => Object.assign(c.linux ?? {}, { sysctl: { 'net/../kernel/panic': '1' } })),
      'is not the name of a parameter',
    ],
    [
      'an unknown limit',
      change((c) => Object.assign(c.process ?? {}, { rlimits: [{ type: 'RLIMIT_FUN', soft: 1, hard: 1 }] })),
      'process.rlimits[0].type',
    ],
    [
      'an option that a bind mount does not have',
      change((c) =>
        Object.assign(c, {
          mounts: [{ destination: '/a', type: 'bind', source: '/', options: ['rbind', 'blabla'] }],
        }),
      ),
      'the bind mount at /a has the option "blabla"',
    ],
    [
      'a null device that is none',
      change((c) => Object.assign(c.linux ?? {}, { devices: [{ path: '/dev/null', type: 'c', major: 1, minor: 5 }] })),
      'linux.devices[0] must be the character device 1:3',
    ],
    ['no process', change((c) => Object.assign(c, { process: undefined })), 'process is missing'],
  ])('%s is refused in one sentence', (_, act, sentence) => {
    expect(act).toThrow(expect.objectContaining({ message: expect.stringContaining(sentence) }));
  });

  it.each([
    [undefined, false],
    [1 << 20, false],
    [1024, true],
  ])('a memory limit of %s gets a warning: %s', (memory, warned) => {
    const config = defaults({ limits: { memory } });
    const { warnings } = prepare({ bundle: { path: rootfs, rootfs, config }, id: 'test', caller: root, features });
    expect(warnings.some((sentence) => sentence.includes('the kernel may kill the container'))).toBe(warned);
  });

  it('a capability that the caller has not is left out, with a warning', () => {
    const caller = { ...root, capabilities: ALL_CAPABILITIES & ~1n };
    const { plan, warnings } = prepare({
      bundle: { path: rootfs, rootfs, config: defaults() },
      id: 'test',
      caller,
      features,
    });
    expect(warnings.some((sentence) => sentence.includes('CAP_CHOWN is left out'))).toBe(true);
    expect(BigInt(find(plan, 'cap_bound')[0]?.inputs.keep ?? 0) & 1n).toBe(0n);
  });
});
