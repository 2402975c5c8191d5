/** What `features` says is what the specification lets it say (features.md, features-linux.md), and is true. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { features } from '../../../runtime/cli/oci/features.js';
import { capabilityNumber } from '../../../runtime/kernel/capabilities.js';
import { compileSeccomp } from '../../../runtime/kernel/seccomp/index.js';
import { checkConfig } from '../../../runtime/oci/index.js';
import { mountOptions } from '../../../runtime/plan/compile/options.js';
import { minimal } from '../../oci/minimal.js';

const version = z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/);
const unique = (item: z.ZodType<string>) => z.array(item).refine((list) => new Set(list).size === list.length);
const words = (prefix: string, list: string) => unique(z.enum(list.split(' ').map((word) => `${prefix}${word}`)));
const enabled = z.strictObject({ enabled: z.boolean() });

/** `The Features structure MUST NOT contain properties that are not defined` in its version: hence strict objects. */
const schema = z.strictObject({
  ociVersionMin: version,
  ociVersionMax: version,
  hooks: words('', 'prestart createRuntime createContainer startContainer poststart poststop'),
  mountOptions: unique(z.string().regex(/^[a-z]+$/)),
  annotations: z.record(z.string().min(1), z.string()).optional(),
  potentiallyUnsafeConfigAnnotations: unique(z.string().min(1)),
  linux: z.strictObject({
    namespaces: words('', 'mount pid network uts ipc user cgroup time'),
    capabilities: unique(z.string().regex(/^CAP_[A-Z_]+$/)),
    cgroup: z.strictObject({
      v1: z.boolean(),
      v2: z.boolean(),
      systemd: z.boolean(),
      systemdUser: z.boolean(),
      rdma: z.boolean(),
    }),
    seccomp: z.strictObject({
      enabled: z.boolean(),
      actions: words('SCMP_ACT_', 'KILL KILL_PROCESS KILL_THREAD TRAP ERRNO TRACE ALLOW LOG NOTIFY'),
      operators: words('SCMP_CMP_', 'NE LT LE EQ GE GT MASKED_EQ'),
      archs: words(
        'SCMP_ARCH_',
        'X86 X86_64 X32 ARM AARCH64 LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X SH SHEB PARISC PARISC64 RISCV64',
      ),
      knownFlags: words('SECCOMP_FILTER_FLAG_', 'TSYNC LOG SPEC_ALLOW WAIT_KILLABLE_RECV'),
      supportedFlags: words('SECCOMP_FILTER_FLAG_', 'TSYNC LOG SPEC_ALLOW WAIT_KILLABLE_RECV'),
    }),
    apparmor: enabled,
    selinux: enabled,
    intelRdt: z.strictObject({ enabled: z.boolean(), schemata: z.boolean(), monitoring: z.boolean() }),
    memoryPolicy: z.strictObject({
      modes: words('MPOL_', 'DEFAULT BIND INTERLEAVE WEIGHTED_INTERLEAVE PREFERRED PREFERRED_MANY LOCAL'),
      flags: words('MPOL_F_', 'NUMA_BALANCING RELATIVE_NODES STATIC_NODES'),
    }),
    mountExtensions: z.strictObject({ idmap: enabled }),
    netDevices: enabled,
  }),
});

const found = features();
const { linux } = found;

it('has the form of the specification', () => {
  expect(schema.parse(JSON.parse(JSON.stringify(found)))).toEqual(found);
});

it.each(['ociVersionMin', 'ociVersionMax'] as const)('accepts a bundle of its %s', (name) => {
  expect(checkConfig({ ...minimal(), ociVersion: found[name] }).faults).toEqual([]);
});

it('has the mount options of the specification, but for the two that its kernels have no longer', () => {
  expect(found.mountOptions).toEqual(
    expect.arrayContaining(MOUNT_OPTIONS.filter((o) => o !== 'mand' && o !== 'nomand')),
  );
});

it.each(found.mountOptions)('knows the mount option %s itself', (option) => {
  expect(mountOptions([option]).data).toEqual([]);
});

it.each(linux.namespaces)('makes a namespace of the kind %s', (type) => {
  const maps = [{ containerID: 0, hostID: 0, size: 1 }];
  const config = {
    ...minimal(),
    linux: { namespaces: [{ type }], ...(type === 'user' && { uidMappings: maps, gidMappings: maps }) },
  };
  expect(checkConfig(config)).toMatchObject({ faults: [] });
});

it.each(linux.capabilities)('knows the number of %s', (name) => {
  expect(capabilityNumber(name)).toBeGreaterThanOrEqual(0);
});

it.each(found.hooks)('takes a hook %s', (name) => {
  expect(checkConfig({ ...minimal(), hooks: { [name]: [{ path: '/a' }] } })).toMatchObject({ faults: [] });
});

describe('a seccomp profile', () => {
  const { actions, operators, archs, knownFlags, supportedFlags } = linux.seccomp;
  const profile = (action: string, more: object = {}) => ({
    defaultAction: 'SCMP_ACT_LOG',
    syscalls: [{ names: ['read'], action }],
    ...more,
  });

  it.each(actions)('may have the action %s', (action) => {
    expect(compileSeccomp(profile(action)).instructions).toBeGreaterThan(0);
  });

  it.each(operators)('may have the operator %s', (op) => {
    const syscalls = [{ names: ['read'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 1, op }] }];
    expect(compileSeccomp(profile('', { syscalls })).instructions).toBeGreaterThan(0);
  });

  it.each(archs)('may have the architecture %s', (arch) => {
    expect(compileSeccomp(profile('SCMP_ACT_ERRNO', { architectures: [arch] })).instructions).toBeGreaterThan(0);
  });

  it.each(knownFlags)('may have the flag %s', (flag) => {
    expect(compileSeccomp(profile('SCMP_ACT_ERRNO', { flags: [flag] })).instructions).toBeGreaterThan(0);
  });

  it('may have on an older kernel only the flags of that kernel', () => {
    expect(knownFlags).toEqual(expect.arrayContaining([...supportedFlags]));
    expect(features('5.18.0-4-amd64').linux.seccomp.supportedFlags).not.toContain(
      'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
    );
    expect(features('5.19.0').linux.seccomp.supportedFlags).toContain('SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV');
  });
});

/** The table of config.md, "Linux mount options". */
const MOUNT_OPTIONS = (
  'async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec ' +
  'noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime ' +
  'remount rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro ' +
  'rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync ' +
  'tmpcopyup unbindable idmap ridmap'
).split(' ');
