import { describe, expect, it } from 'vitest';
import {
  FEATURES,
  type KernelAnswers,
  missingRequired,
  probeFeatures,
  withoutFeatures,
} from '../../runtime/kernel/features.js';

const old: KernelAnswers = {
  release: '4.19.0-26-amd64',
  cgroups: { layout: 'v1', hierarchies: [] },
  isRoot: false,
  ownsMachine: false,
  hasSyscall: () => false,
  seccompActionAvailable: () => true,
  landlockAbi: () => 0,
  exists: (path) => path !== '/proc/self/ns/time',
  read: () => undefined,
  sysctl: () => undefined,
};

describe('features of this kernel', () => {
  it('answers every row of the table', () => {
    const features = probeFeatures();
    for (const name of Object.keys(FEATURES)) expect(features).toHaveProperty(name);
    expect(features.kernel).toMatch(/^\d+\.\d+/);
    // Whoever runs these tests has a kernel on which Tare works.
    expect(missingRequired(features)).toEqual([]);
  });

  it('has no row without a version and a fallback', () => {
    for (const [name, row] of Object.entries(FEATURES)) {
      expect(row.since, name).toHaveLength(2);
      expect(row.fallback, name).not.toBe('');
    }
  });
});

describe('features of other kernels', () => {
  it('finds an old kernel poor, and says what is missing', () => {
    const features = probeFeatures(old);
    expect(features).toMatchObject({ openat2: false, newMountApi: false, seccompErrno: true });
    expect(features).toMatchObject({ timeNamespaces: false, userNamespaces: true, cloneIntoCgroup: false });
    expect(missingRequired(features)).toContain(
      'this kernel (4.19.0-26-amd64) has no openat2, which Linux 5.6 brought',
    );
  });

  it.each([
    ['a limit of zero, even to root', { isRoot: true }, { '/proc/sys/user/max_user_namespaces': 0 }, false],
    ['Debian’s switch', {}, { '/proc/sys/kernel/unprivileged_userns_clone': 0 }, false],
    ['Debian’s switch, but not to root', { isRoot: true }, { '/proc/sys/kernel/unprivileged_userns_clone': 0 }, true],
    ['Ubuntu’s switch', {}, { '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': 1 }, false],
    ['nothing', {}, { '/proc/sys/user/max_user_namespaces': 1000 }, true],
  ])('user namespaces are forbidden by %s', (_, more, sysctls: Record<string, number>, allowed) => {
    const kernel = { ...old, ...more, sysctl: (path: string) => sysctls[path] };
    expect(probeFeatures(kernel).userNamespaces).toBe(allowed);
  });

  it('takes single features away for a test of their fallback', () => {
    const rich = probeFeatures();
    const poor = withoutFeatures(rich, 'mountSetattr', 'openTree');
    expect(poor).toEqual({ ...rich, mountSetattr: false, openTree: false });
  });
});
