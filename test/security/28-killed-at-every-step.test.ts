/**
 * SIGKILL after every single step of create, to the runtime or to stage, paused there by the protocol of `tare step`: whatever has been
 * made by then, `delete --force` or `gc` finds it in the journal, and nothing is left.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { type Changes, makeBundle, userNamespace } from '../harness/bundle.js';
import { inWorld } from '../harness/world.js';

const hook = [{ path: '/bin/true' }];

/** A little of everything that outlives a process, and few mounts: each step is a create of its own. */
const CONTAINER: Changes = {
  linux: {
    namespaces: ['mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type: type as 'mount' })),
    resources: { memory: { limit: 64 * 2 ** 20 }, pids: { limit: 64 } },
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/sys'],
  },
  change: (config) => ({
    ...config,
    mounts: config.mounts?.filter(({ destination }) => ['/proc', '/dev', '/dev/pts'].includes(destination)),
    hooks: { createRuntime: hook, createContainer: hook, startContainer: hook, poststop: hook },
  }),
};

describe('killed after every step of create', () => {
  it.for<[whom: 'runtime' | 'stage', how: string, changes: Changes]>([
    ['runtime', '', CONTAINER],
    ['stage', '', CONTAINER],
    [
      'stage',
      ' of a container with a user namespace',
      { ...CONTAINER, linux: { ...CONTAINER.linux, ...userNamespace() } },
    ],
    [
      'stage',
      ' of a container with a user namespace and clocks, which a bridge makes,',
      {
        ...CONTAINER,
        linux: {
          ...CONTAINER.linux,
          ...userNamespace(),
          namespaces: [...(userNamespace().namespaces ?? []), { type: 'time' }],
          timeOffsets: { monotonic: { secs: 9 } },
        },
      },
    ],
    [
      'stage',
      ' of a container without a mount namespace',
      {
        ...CONTAINER,
        linux: { ...CONTAINER.linux, namespaces: CONTAINER.linux?.namespaces?.filter(({ type }) => type !== 'mount') },
      },
    ],
  ])('the %s%s leaves nothing', { timeout: 240_000 }, ([whom, , changes]) =>
    inWorld(`killed-${whom}`, async (world) => {
      const { path } = makeBundle(world, 'exit 0', changes);
      const killer = join(packageRoot(), 'test/security/28-killer.mjs');
      const { status, stdout, stderr } = await world.run([process.execPath, killer, whom, path, world.cgroup], {
        timeoutMs: 230_000,
      });
      expect([status, stderr]).toEqual([0, expect.any(String)]);
      const steps = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { at: number; left: string[] });
      expect(steps.length).toBeGreaterThan(80);
      expect(steps.filter(({ left }) => left.length > 0)).toEqual([]);
    }),
  );
});
