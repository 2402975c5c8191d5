/**
 * Namespaces that are joined through a bridge, on a kernel with cgroups of version 2 alone and Debian's configuration: a process that
 * has become another user gets into its cgroup all the same.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../runtime/container/index.js';
import { createProvider, type Machine, type MachineProvider } from '../../runtime/vm/index.js';
import { type Mutable, mapUsers, setNamespace } from './bundle.js';
import { withUsers } from './joined.js';

let provider: MachineProvider;
let machine: Machine;
beforeAll(async () => {
  provider = await createProvider();
  machine = await provider.create();
  await inMachine(`
    mount -t tmpfs tmpfs /mnt
    for name in first second; do
      mkdir -p /mnt/$name/rootfs/bin /mnt/$name/rootfs/tmp; cp /bin/busybox /mnt/$name/rootfs/bin
      for link in sh cat sleep readlink; do ln -s busybox /mnt/$name/rootfs/bin/$link; done
    done
    chmod 755 /mnt; chown -R 200000:200000 /mnt/*/rootfs`);
}, 300_000);
afterAll(async () => {
  await machine?.close();
  await provider?.close();
});

async function inMachine(script: string): Promise<string> {
  const { status, stdout, stderr } = await machine.exec(['bash', '-ec', script], { timeoutMs: 100_000 });
  expect([status, stderr.toString()]).toEqual([0, '']);
  return stdout.toString();
}

/** A bundle of this name in the machine. */
async function bundle(name: string, script: string, edit: (config: Mutable) => void): Promise<void> {
  const options = { rootfs: `/mnt/${name}/rootfs`, args: ['sh', '-c', script], caller: { uid: 0, gid: 0 } };
  const config = JSON.parse(JSON.stringify(defaultConfig({ ...options, limits: { pids: 10 } }))) as Mutable;
  edit(config);
  await inMachine(`cat > /mnt/${name}/config.json <<'END'\n${JSON.stringify(config)}\nEND`);
}

describe('on version 2 alone', { timeout: 200_000 }, () => {
  it('a container joins the user namespace of another, its clocks and its network, within a cgroup of its own', async () => {
    const links = 'for n in user time net pid; do readlink /proc/self/ns/$n; done; cat /proc/self/timens_offsets';
    await bundle('first', `{ ${links}; } > /tmp/links; exec sleep 1000`, (config) => {
      withUsers(config);
      config.linux.timeOffsets = { boottime: { secs: 5000 } };
    });
    await inMachine(`
      tare run --bundle /mnt/first --name first > /dev/null 2>&1 &
      until [ "$(wc -l < /mnt/first/rootfs/tmp/links)" = 6 ]; do sleep 0.1; done 2> /dev/null`);
    const pid = (await inMachine('cat /sys/fs/cgroup/tare/first/cgroup.procs')).trim();
    const places = ['user', 'time', 'net', 'pid'].map((link) => `/proc/${pid}/ns/${link}`);
    await bundle('second', `${links}; exec sleep 1000`, (config) => {
      (['user', 'time', 'network', 'pid'] as const).forEach((type, i) => {
        setNamespace(config, type, places[i]);
      });
    });
    const said = await inMachine(`
      tare run --bundle /mnt/second --name second > /mnt/said 2>&1 &
      until [ "$(wc -l < /mnt/said)" -ge 6 ]; do sleep 0.1; done
      cat /mnt/said; cat /sys/fs/cgroup/tare/second/pids.max; cat /proc/$(cat /sys/fs/cgroup/tare/second/cgroup.procs)/cgroup
      tare delete --force second; tare delete --force first`);
    const first = await inMachine('cat /mnt/first/rootfs/tmp/links');
    expect(said).toBe(`${first}10\n0::/tare/second\n`);
    expect(first).toMatch(/boottime +5000 +0\n$/);
    expect(await inMachine('find /sys/fs/cgroup/tare -mindepth 1 -type d')).toBe('');
  });

  it('sets the clocks of a container in a new user namespace that joins a network', async () => {
    await bundle('second', 'cat /proc/self/timens_offsets /proc/self/cgroup; readlink /proc/self/ns/net', (config) => {
      setNamespace(config, 'user');
      setNamespace(config, 'time');
      setNamespace(config, 'network', '/mnt/network');
      mapUsers(config, 200_000);
      config.linux.timeOffsets = { monotonic: { secs: 77 } };
    });
    const said = await inMachine(`
      touch /mnt/network; unshare --net=/mnt/network true
      tare run --bundle /mnt/second --name second
      nsenter --net=/mnt/network readlink /proc/self/ns/net; umount /mnt/network`);
    const lines = said.trim().split('\n');
    expect(lines.slice(0, 3).map((line) => line.replace(/ +/g, ' '))).toEqual([
      'monotonic 77 0',
      'boottime 0 0',
      '0::/',
    ]);
    expect(lines[3]).toBe(lines[4]);
  });
});
