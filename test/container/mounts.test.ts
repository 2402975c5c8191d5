/** What the compiler makes of mounts, where it takes another kernel or host than this one to see it: labels, cgroups of version 2, words. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { defaultConfig, prepare } from '../../runtime/container/index.js';
import type { CgroupHost } from '../../runtime/kernel/cgroup/index.js';
import { type Features, probeFeatures } from '../../runtime/kernel/features.js';
import { mountOf } from '../../runtime/kernel/mountinfo.js';
import { type Config, validConfig } from '../../runtime/oci/index.js';
import { KNOWN_OPTIONS, mountOptions } from '../../runtime/plan/compile/options.js';
import { checkPlan, type Plan, type Step } from '../../runtime/plan/index.js';
import { userNamespace } from '../harness/bundle.js';
import { ROOT } from '../harness/callers.js';

const rootfs = mkdtempSync(join(tmpdir(), 'tare-mounts-'));
afterAll(() => rmSync(rootfs, { recursive: true }));

function compile(change: (config: Config) => Config, kernel: Partial<Features> = {}): Plan {
  const config = change(defaultConfig({ rootfs, args: ['/bin/sh'], caller: { uid: 0, gid: 0 } }));
  const { plan } = prepare({
    bundle: { path: rootfs, rootfs, config: validConfig(JSON.parse(JSON.stringify(config))) },
    id: 'test',
    features: { ...probeFeatures(), ...kernel },
    caller: ROOT,
  });
  checkPlan(plan);
  return plan;
}

const steps = <K extends Step['kind']>(plan: Plan, kind: K) =>
  (plan.lanes.inside ?? []).filter((step): step is Extract<Step, { kind: K }> => step.kind === kind);

describe('words of a mount', () => {
  // config.md, "Linux mount options", in its order.
  const SPECIFIED =
    'async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap';

  it.each(SPECIFIED.split(' '))('%s is known', (word) => {
    expect(KNOWN_OPTIONS).toContain(word);
    expect(mountOptions([word]).data).toEqual([]);
  });

  it('in alphabetical order, each once; everything else is the file system’s', () => {
    expect(KNOWN_OPTIONS).toEqual([...new Set(KNOWN_OPTIONS)].sort());
    expect(mountOptions(['size=64k', 'rodent', 'acl', '', 'nofail']).data).toEqual(['size=64k', 'rodent', 'acl']);
    // Names that every object of JavaScript has.
    expect(mountOptions(['constructor', 'toString'])).toMatchObject({
      data: ['constructor', 'toString'],
      asked: false,
    });
  });

  it('the last one wins', () => {
    expect(mountOptions(['ro', 'rw', 'noatime', 'relatime'])).toMatchObject({ set: 0, clear: 1, atime: 0 });
    expect(mountOptions(['noatime', 'atime']).atime).toBeUndefined();
    expect(mountOptions(['rnoatime', 'rro', 'ratime', 'rrw'])).toMatchObject({ setBelow: 0, clearBelow: 0x71 });
    expect(mountOptions(['bind', 'rbind', 'bind']).bind).toBe('rbind');
    expect(mountOptions(['rslave', 'shared']).propagation).toEqual([0x84000, 0x100000]);
  });
});

it('the mount that shows a path is the last at the nearest place', () => {
  const line = (id: number, point: string) => `${id} 1 0:1 / ${point} rw - tmpfs t rw\n`;
  const text = [line(1, '/'), line(2, '/a'), line(3, '/a/b'), line(4, '/a'), line(5, '/ab')].join('');
  const ids = ['/', '/a', '/a/b', '/a/b/c', '/abc', '/ab/x'].map((path) => mountOf(text, path)?.id);
  expect(ids).toEqual([1, 4, 3, 3, 1, 5]);
});

describe('an SELinux label', () => {
  const label = 'system_u:object_r:svirt_t:s0:c1,c2';
  const labelled = (config: Config): Config => ({ ...config, linux: { ...config.linux, mountLabel: label } });

  it('is that of every file system that can have one', () => {
    const plan = compile(labelled, { seLinux: true });
    const contexts = steps(plan, 'fsconfig').filter(({ inputs }) => inputs.key === 'context');
    expect(contexts.map(({ inputs }) => inputs.value)).toEqual([label, label, label]);
    expect(contexts.map(({ field }) => field)).toEqual(['mounts[1]', 'mounts[2]', 'mounts[3]']); // /dev, /dev/pts, /dev/shm
  });

  it('is refused where the kernel has no SELinux', () => {
    expect(() => compile(labelled, { seLinux: false })).toThrow(
      expect.objectContaining({ code: 'unsupported', path: 'linux.mountLabel' }),
    );
  });
});

describe('cgroups of version 1', () => {
  const controllers = ['memory', 'pids'];
  const NO_MOUNTS = [{ type: 'pid' as const }, { type: 'cgroup' as const }];
  const v1: CgroupHost = {
    layout: 'v1',
    hierarchies: controllers.map((name) => {
      const mountPoint = `/sys/fs/cgroup/${name}`;
      return { version: 1, controllers: [name], mountPoint, own: mountPoint };
    }),
  };
  const made = (plan: Plan) => steps(plan, 'fsopen').filter(({ inputs }) => inputs.type === 'cgroup').length;
  const copied = (plan: Plan) => steps(plan, 'open_tree').filter(({ inputs }) => inputs.path.startsWith('/sys/fs'));
  const changed = (linux: Config['linux']) => (config: Config) => ({
    ...config,
    linux: { ...config.linux, ...linux, resources: { memory: { limit: 2 ** 26 }, pids: { limit: 9 } } },
  });

  it('are not mounted anew, for which the kernel would look at every cgroup there is', () => {
    const plan = compile(changed({}), { cgroups: v1 });
    expect(copied(plan).map(({ inputs }) => inputs.path.split('/')[4])).toEqual(controllers);
    expect(made(plan)).toBe(0);
  });

  it.each<[string, (config: Config) => Config, Partial<Features>]>([
    ['in a user namespace, which may not unlock what the host has locked', changed(userNamespace()), {}],
    [
      'before Linux 5.12, where a copy cannot be changed before it is seen',
      (config) => config,
      { mountSetattr: false },
    ],
    ['with the host’s mounts, where their path may lead elsewhere', changed({ namespaces: NO_MOUNTS }), {}],
  ])('are mounted anew %s', (_, change, kernel) => {
    const plan = compile(change, { cgroups: v1, ...kernel });
    expect(made(plan)).toBe(controllers.length);
    expect(copied(plan)).toEqual([]);
  });
});

describe('cgroups of version 2', () => {
  const v2: CgroupHost = {
    layout: 'v2',
    hierarchies: [
      { version: 2, controllers: ['cpu', 'memory', 'pids'], mountPoint: '/sys/fs/cgroup', own: '/sys/fs/cgroup' },
    ],
  };
  const spaces = (config: Config, ...left: string[]): Config => ({
    ...config,
    linux: { ...config.linux, namespaces: config.linux?.namespaces?.filter(({ type }) => !left.includes(type)) },
  });
  const at = (plan: Plan) => (plan.lanes.inside ?? []).filter(({ field }) => field === 'mounts[6]');

  it('are mounted as one, with the container’s as their root', () => {
    const plan = compile((config) => config, { cgroups: v2 });
    expect(at(plan).map(({ kind }) => kind)).toEqual([
      'mkdir_in_root',
      'fsopen',
      'fsconfig',
      'fsconfig',
      'fsmount',
      'close',
      'move_mount',
    ]);
    expect(at(plan)[1]?.inputs).toMatchObject({ type: 'cgroup2' });
  });

  it.each<[string, (config: Config) => Config]>([
    ['without a cgroup namespace', (config) => spaces(config, 'cgroup')],
    [
      'also in a user namespace',
      (config) => spaces({ ...config, linux: { ...config.linux, ...userNamespace() } }, 'cgroup'),
    ],
  ])('%s show the container’s own directory alone', (_, change) => {
    const plan = compile(change, { cgroups: v2 });
    const [copy] = at(plan).filter(({ kind }) => kind === 'open_tree');
    expect(copy?.inputs).toMatchObject({ path: expect.stringMatching(/^\/sys\/fs\/cgroup\/.*test$/) });
    expect(at(plan).map(({ kind }) => kind)).not.toContain('fsopen');
  });
});
