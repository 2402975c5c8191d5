/** /sys/fs/cgroup as programs of the container find it, on a host of version 1 or a hybrid one. cgroups(7). */
import { describe, expect, it } from 'vitest';
import { probeFeatures } from '../../runtime/kernel/features.js';
import { type Changes, runScript, userNamespace } from '../harness/bundle.js';
import { inWorld } from '../harness/world.js';

const { cgroups } = probeFeatures();
const names = cgroups.hierarchies.map(({ mountPoint }) => mountPoint.slice('/sys/fs/cgroup/'.length)).sort();
const withoutCgroups = ['mount', 'pid', 'network', 'ipc', 'uts'] as const;

const cases: [string, Changes['linux']][] = [
  ['with a cgroup namespace', {}],
  ['without one', { namespaces: withoutCgroups.map((type) => ({ type })) }],
  ['with a user namespace as well', userNamespace()],
  [
    'with a user namespace alone',
    { ...userNamespace(), namespaces: [{ type: 'user' }, ...withoutCgroups.map((type) => ({ type }))] },
  ],
];

describe.each(cases)('%s', (_, linux) => {
  it('has each hierarchy, of which it sees its own cgroup alone, and cannot write to it', (context) => {
    if (cgroups.layout === 'v2' || cgroups.layout === 'none') context.skip('this host has no cgroups of version 1');
    return inWorld('cgroup-mount', async (world) => {
      const script = `ls /sys/fs/cgroup | sort | tr '\\n' ' '; echo
        cd /sys/fs/cgroup; for at in */; do test -e $at/cgroup.procs && grep -q '[0-9]' $at/cgroup.procs && ls -d $at*/ 2>/dev/null; done
        cat pids/pids.max; (echo 7 > pids/pids.max) 2>&1 | grep -o 'Read-only.*'; touch /sys/fs/cgroup/x 2>&1 | grep -o 'Read-only.*'
        grep -c ' /sys/fs/cgroup' /proc/self/mountinfo; test -e memory/release_agent || echo none`;
      const ran = await runScript(world, script, {
        linux: { ...linux, cgroupsPath: `${world.cgroup}/mounted`, resources: { pids: { limit: 50 } } },
      });
      const readOnly = 'Read-only file system\n';
      expect(ran.stdout).toBe(`${names.join(' ')} \n50\n${readOnly}${readOnly}${names.length + 1}\nnone\n`);
    });
  });
});

it('is as if it had been mounted in the container', (context) => {
  if (cgroups.layout === 'v2' || cgroups.layout === 'none') context.skip('this host has no cgroups of version 1');
  return inWorld('cgroup-same', async (world) => {
    const script = `mkdir /tmp/anew && mount -t cgroup -o ro,nosuid,nodev,noexec,pids cgroup /tmp/anew
      for at in /sys/fs/cgroup/pids /tmp/anew; do grep " $at " /proc/self/mountinfo | cut -d' ' -f3,4,6-; done`;
    const ran = await runScript(world, script, {
      linux: { cgroupsPath: `${world.cgroup}/same`, resources: { pids: { limit: 50 } } },
    });
    const [ours = '', anew] = ran.stdout.split('\n');
    // The name of the source is the one that the host has given; then the superblock's options.
    expect(ours.replace(/ cgroup \S+ /, ' cgroup cgroup ')).toBe(anew);
    expect(ours).toMatch(/^\d+:\d+ \/ ro,nosuid,nodev,noexec,relatime - cgroup /);
  });
});

it('may be writable where config.json says so', (context) => {
  if (cgroups.layout === 'v2' || cgroups.layout === 'none') context.skip('this host has no cgroups of version 1');
  return inWorld('cgroup-rw', async (world) => {
    const ran = await runScript(world, 'echo 7 > /sys/fs/cgroup/pids/pids.max && cat /sys/fs/cgroup/pids/pids.max', {
      linux: { cgroupsPath: `${world.cgroup}/written`, resources: { pids: { limit: 50 } } },
      change: (config) => ({
        ...config,
        mounts: config.mounts?.map((mount) =>
          mount.type === 'cgroup' ? { ...mount, options: ['nosuid', 'noexec', 'nodev', 'rw'] } : mount,
        ),
      }),
    });
    expect(ran).toMatchObject({ stdout: '7\n', status: 0 });
  });
});
