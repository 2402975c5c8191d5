/** What the compiler makes of device rules on cgroups of version 2. Nothing is run here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { defaultConfig, prepare } from '../../runtime/container/index.js';
import { type Features, probeFeatures } from '../../runtime/kernel/features.js';
import { validConfig } from '../../runtime/oci/index.js';
import type { Caller } from '../../runtime/plan/index.js';
import { ROOT as root } from '../harness/callers.js';

const rootfs = mkdtempSync(join(tmpdir(), 'tare-devices-'));
afterAll(() => rmSync(rootfs, { recursive: true }));

// A hierarchy is a folder in which we may make others, as far as a plan is concerned.
const hierarchy = { version: 2, controllers: [], mountPoint: rootfs, own: rootfs } as const;
const features: Features = {
  ...probeFeatures(),
  cgroups: { layout: 'v2', hierarchies: [hierarchy] },
  deviceProgram: true,
};

function outsideOf(caller: Caller, kernel: Features) {
  const config = validConfig(JSON.parse(JSON.stringify(defaultConfig({ rootfs, args: ['/bin/sh'], caller }))));
  const { plan, warnings } = prepare({ bundle: { path: rootfs, rootfs, config }, id: 'x', caller, features: kernel });
  return { steps: plan.lanes.outside, warnings };
}

it('the program is attached to the new cgroup before a process is born in it', () => {
  const { steps, warnings } = outsideOf(root, features);
  expect(warnings).toEqual([]);
  const load = steps.findIndex(({ kind }) => kind === 'cgroup_device');
  const [open, attach, close] = steps.slice(load - 1);
  const path = join(rootfs, 'tare/x');
  const directory = Object.values(open?.outputs ?? {})[0];
  expect(open).toMatchObject({ kind: 'openat2', inputs: { path }, field: 'linux.resources.devices' });
  expect(attach).toMatchObject({ inputs: { cgroup: directory }, field: 'linux.resources.devices' });
  expect(attach?.why).toContain('which devices may be opened');
  expect(close).toMatchObject({ kind: 'close', inputs: { fd: directory } });
  expect(load).toBeLessThan(steps.findIndex(({ kind }) => kind === 'clone'));
  expect(
    steps.slice(0, load).some(({ kind, inputs }) => kind === 'mkdirat' && 'path' in inputs && inputs.path === path),
  ).toBe(true);
});

it('whoever may not load it is told that the rules do not hold', () => {
  const { steps, warnings } = outsideOf(root, { ...features, deviceProgram: false });
  expect(steps.some(({ kind }) => kind === 'cgroup_device')).toBe(false);
  expect(warnings).toEqual([expect.stringContaining('linux.resources.devices cannot be enforced here')]);
});

it('a user who is not root has no rules: nobody can make a device in a user namespace', () => {
  const { steps, warnings } = outsideOf({ ...root, uid: 1000, gid: 1000, capabilities: 0n }, features);
  expect(steps.some(({ kind }) => kind === 'cgroup_device')).toBe(false);
  expect(warnings.filter((sentence) => sentence.includes('devices'))).toEqual([]);
});
