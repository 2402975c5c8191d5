/**
 * Containers on a kernel that has cgroups of version 2 and nothing else: limits, and device rules as a program. In a virtual
 * machine, so that it is tested on hosts of every layout. The machine's disks are 254:0 and 254:1 (virtio_blk).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProvider, type Machine, type MachineProvider } from '../../runtime/vm/index.js';

const ROOTFS = '/mnt/bundle/rootfs';
/** The first bytes of the machine's disk, a squashfs. */
const DISK_BEGINS = 'hsqs';

let provider: MachineProvider;
let machine: Machine;
beforeAll(async () => {
  provider = await createProvider();
  machine = await provider.create();
  // Not /tmp: it is mounted nodev there.
  const names = 'sh cat head mknod sleep echo';
  const made = await machine.exec([
    'sh',
    '-ec',
    `mount -t tmpfs tmpfs /mnt && mkdir -p ${ROOTFS}/bin && cp /bin/busybox ${ROOTFS}/bin
     for name in ${names}; do ln -s busybox ${ROOTFS}/bin/$name; done`,
  ]);
  expect([made.status, made.stderr.toString()]).toEqual([0, '']);
}, 300_000);
afterAll(async () => {
  await machine?.close();
  await provider?.close();
});

async function inMachine(
  script: string,
  timeoutMs = 100_000,
): Promise<{ status: number; stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await machine.exec(['bash', '-c', script], { timeoutMs });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

const run = (options: string, script: string) => inMachine(`tare run ${options} -- sh -c '${script}'`);

/** Everything below the cgroup of Tare's containers: nothing, when none runs. */
const cgroupsLeft = async () => (await inMachine('find /sys/fs/cgroup/tare -mindepth 1 -type d')).stdout;

describe('on version 2 alone', { timeout: 120_000 }, () => {
  it('the machine is what this test is about', async () => {
    const { stdout } = await inMachine(
      'cat /proc/self/cgroup; findmnt -n -o FSTYPE /sys/fs/cgroup; mknod /mnt/disk b 254 0; head -c 4 /mnt/disk',
    );
    expect(stdout).toBe(`0::/\ncgroup2\n${DISK_BEGINS}`);
  });

  it('the default container can make the host’s disk, but not open it', async () => {
    const script =
      'mknod /disk b 254 0; cat /disk; echo > /disk; echo fine > /dev/null && head -c 3 /dev/zero && echo done';
    const { stdout, stderr, status } = await run(`--rootfs ${ROOTFS}`, script);
    expect([stdout, status]).toEqual(['\0\0\0done\n', 0]);
    // And no warning: the rules hold.
    expect(stderr.trim().split('\n')).toEqual([
      "cat: can't open '/disk': Operation not permitted",
      "sh: can't create /disk: Operation not permitted",
    ]);
    expect(await cgroupsLeft()).toBe('');
  });

  it('limits are where the kernel reads them, and where tare inspect does', async () => {
    const { stdout, stderr } = await inMachine(`
      tare run --rootfs ${ROOTFS} --init --memory 64m --pids-limit 20 --name box -- sleep 100 &
      until cd /sys/fs/cgroup/tare/box && grep -q sleep $(sed 's|.*|/proc/&/comm|' cgroup.procs); do sleep 0.1; done 2> /dev/null
      cat memory.max pids.max
      tare inspect --json $(head -n 1 cgroup.procs)
      cd /
      kill $! && wait $!
      echo "ended with $?" >&2`);
    expect(stderr).toBe('ended with 143\n');
    const [memory, pids, ...json] = stdout.split('\n');
    expect([memory, pids]).toEqual([String(64 << 20), '20']);
    expect(JSON.parse(json.join('\n'))).toMatchObject({
      cgroups: [{ version: 2, path: '/tare/box', directory: '/sys/fs/cgroup/tare/box' }],
      limits: {
        memory: { own: 64 << 20, effective: 64 << 20, from: '/sys/fs/cgroup/tare/box' },
        pids: { own: 20, effective: 20, from: '/sys/fs/cgroup/tare/box' },
      },
    });
    expect(await cgroupsLeft()).toBe('');
  });

  it('a bundle may allow a device, for what it names and nothing else', async () => {
    const config = {
      ociVersion: '1.0.2',
      root: { path: 'rootfs' },
      process: {
        cwd: '/',
        user: { uid: 0, gid: 0 },
        env: ['PATH=/bin'],
        args: [
          'sh',
          '-c',
          'mknod /0 b 254 0; head -c 4 /0; echo > /0; mknod /1 b 254 1; cat /1; cat /sys/fs/cgroup/memory.swap.max',
        ],
        capabilities: { bounding: ['CAP_MKNOD'], effective: ['CAP_MKNOD'], permitted: ['CAP_MKNOD'] },
      },
      mounts: [{ destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro'] }],
      linux: {
        namespaces: ['pid', 'mount', 'ipc', 'uts', 'network', 'cgroup'].map((type) => ({ type })),
        resources: {
          devices: [
            { allow: false, access: 'rwm' },
            { allow: true, type: 'b', major: 254, minor: 0, access: 'r' },
          ],
          // Tare is in the root of the hierarchy here, and the root has no files of limits to look at.
          memory: { limit: 64 << 20, swap: 80 << 20 },
        },
      },
    };
    await machine.writeFile('/mnt/bundle/config.json', JSON.stringify(config));
    await inMachine(`rm -f ${ROOTFS}/[01]`);
    const { stdout, stderr } = await inMachine('tare run --bundle /mnt/bundle');
    expect(stdout).toBe(`${DISK_BEGINS}${16 << 20}\n`);
    expect(stderr.trim().split('\n')).toEqual([
      "sh: can't create /0: Operation not permitted",
      "cat: can't open '/1': Operation not permitted",
    ]);
    expect(await cgroupsLeft()).toBe('');
  });

  it('an engine’s commands do there what they say: pause, update, events, ps, exec, kill --all', {
    timeout: 240_000,
  }, async () => {
    const config = {
      ociVersion: '1.2.0',
      root: { path: 'rootfs' },
      process: {
        cwd: '/',
        user: { uid: 0, gid: 0 },
        env: ['PATH=/bin'],
        args: ['sh', '-c', 'sleep 1000 & exec sleep 1000'],
      },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['rw'] },
      ],
      linux: {
        cgroupsPath: '/engine/box',
        namespaces: ['pid', 'mount', 'ipc', 'uts', 'network', 'cgroup'].map((type) => ({ type })),
        resources: { memory: { limit: 64 << 20 }, pids: { limit: 20 } },
      },
    };
    await machine.writeFile('/mnt/bundle/config.json', JSON.stringify(config));
    const { stdout, stderr } = await inMachine(
      `
      cg=/sys/fs/cgroup/engine/box
      tare-oci run --detach --bundle /mnt/bundle box > /dev/null 2>&1 < /dev/null
      until [ "$(wc -l < $cg/cgroup.procs)" = 2 ]; do sleep 0.1; done
      tare-oci pause box; grep frozen $cg/cgroup.events; tare-oci state box | grep -o '"status": "[a-z]*"'
      tare-oci exec box true || echo refused
      tare-oci resume box; grep frozen $cg/cgroup.events
      tare-oci update --memory 32M --pids-limit 30 --cpu-quota 50000 box; cat $cg/memory.max $cg/pids.max $cg/cpu.max
      tare-oci ps --format json box | tr ',' '\\n' | wc -l
      tare-oci exec box sh -c 'mkdir /sys/fs/cgroup/in && for pid in 1 $$ $(cat /sys/fs/cgroup/cgroup.procs); do echo $pid > /sys/fs/cgroup/in/cgroup.procs; done; echo +memory > /sys/fs/cgroup/cgroup.subtree_control'
      tare-oci exec box cat /proc/self/cgroup
      tare-oci events --stats box
      tare-oci kill --all box KILL; until [ ! -s $cg/in/cgroup.procs ]; do sleep 0.1; done
      tare-oci delete --force box; ls /sys/fs/cgroup/engine | grep -c box`,
      220_000,
    );
    expect(stderr).toContain('cannot exec in a paused container');
    const lines = stdout.trim().split('\n');
    expect(lines.filter((line) => !line.startsWith('{'))).toEqual([
      'frozen 1',
      '"status": "paused"',
      'refused',
      'frozen 0',
      String(32 << 20),
      '30',
      '50000 100000',
      '2',
      '0::/in',
      '0',
    ]);
    const stats = JSON.parse(lines.find((line) => line.startsWith('{')) ?? '');
    expect(stats).toMatchObject({
      type: 'stats',
      id: 'box',
      data: { memory: { usage: { limit: 32 << 20 } }, pids: { current: 2, limit: 30 } },
    });
  });
});
