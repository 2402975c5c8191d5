/**
 * Images on Debian's kernel, which is older than this machine's may be (6.1: an overlay takes its layers as one string) and has cgroups of version 2
 * and nothing else: made, run, built and removed in one virtual machine, as a learner finds it. Its own root is an overlay, and its other places are
 * tmpfs, neither of which that kernel maps owners of; so Tare's data is on an ext4 of its own there.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProvider, type Machine, type MachineProvider } from '../../runtime/vm/index.js';

let provider: MachineProvider;
let machine: Machine;
beforeAll(async () => {
  provider = await createProvider();
  machine = await provider.create();
  await ok('mount -t tmpfs tmpfs /mnt && mkdir /mnt/tmpfs');
}, 600_000);
afterAll(async () => {
  await machine?.close();
  await provider?.close();
});

async function inMachine(script: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await machine.exec(['bash', '-c', script], { timeoutMs: 500_000 });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** Of what must not fail. Returns what it wrote. */
async function ok(script: string): Promise<string> {
  const { status, stdout, stderr } = await inMachine(`set -e; ${script}`);
  if (status !== 0) throw new Error(`${script}: status ${status}: ${stderr}`);
  return stdout;
}

const tare = (words: string) => ok(`tare ${words}`);

/** Folders and mounts of containers: none, when none runs. */
const left = () =>
  ok(
    'find /var/lib/tare/containers -mindepth 1; find /sys/fs/cgroup/tare -mindepth 1 -type d; grep "^overlay" /proc/mounts | grep -v " / " || true',
  );

describe('images on Linux 6.1, with cgroups of version 2', { timeout: 600_000 }, () => {
  it('the machine is what this test is about', async () => {
    expect(await ok('uname -r; findmnt -n -o FSTYPE /sys/fs/cgroup')).toMatch(/^6\.1\..*\ncgroup2\n$/);
  });

  it('as a learner types it, without any settings: an image, and a container of it', async () => {
    const typed = ['bash', '-lic', 'tare image bootstrap busybox && tare run busybox echo hi'];
    const { status, stdout, stderr } = await machine.exec(typed, { timeoutMs: 500_000 });
    expect({ status, said: stdout.toString() }, stderr.toString()).toMatchObject({
      status: 0,
      said: expect.stringMatching(/(^|\n)hi\n$/),
    });
    expect(await ok('findmnt -n -o FSTYPE /var/lib/tare; ls -A /var/lib/tare')).toBe('ext4\ncontainers\nimages\n');
  });

  it('a container of an image has its files, a layer of its own, and a limit that holds', async () => {
    const script = 'touch /own; ls /own; cat /sys/fs/cgroup/memory.max; tail /dev/zero; echo $?';
    expect(await tare(`run --memory 32m localhost/busybox sh -c '${script}'`)).toBe(`/own\n${32 << 20}\n137\n`);
    expect((await inMachine('tare run localhost/busybox ls /own')).status).toBe(1);
    expect(await left()).toBe('');
  });

  it('is in a user namespace by layers with mapped owners', async () => {
    const script = 'id -u; stat -c %u /bin /etc/passwd; touch /own; stat -c %u /own; head -n 1 /proc/self/uid_map';
    const said = await tare(`run --userns 100000 localhost/busybox sh -c '${script}'`);
    expect(said.replace(/ +/g, ' ')).toBe('0\n0\n0\n0\n 0 100000 65536\n');
    expect(await left()).toBe('');
  });

  it('where the data’s file system cannot do that, a sentence says so', async () => {
    const run = (root: string, options: string) =>
      inMachine(
        `TARE_ROOT=${root} tare image bootstrap -q busybox > /dev/null; TARE_ROOT=${root} tare run ${options} localhost/busybox true`,
      );
    const mapped = await run('/mnt/tmpfs', '--userns 100000');
    expect(mapped.status).toBe(125);
    expect(mapped.stderr).toMatch(/EINVAL: the file system of Tare’s data cannot map owners on this kernel\)+\n$/);
    expect(await run('/mnt/tmpfs', '')).toMatchObject({ status: 0, stderr: '' });
    // The machine's own root.
    const nested = await run('/root/tare', '');
    expect(nested.status).toBe(125);
    expect(nested.stderr).toMatch(
      /EINVAL: the file system of Tare’s data cannot lie below an overlay, .* by TARE_ROOT\)+\n$/,
    );
    expect(await ok('TARE_ROOT=/root/tare tare gc > /dev/null; ls /root/tare/containers')).toBe('');
  });

  it('a build of two stages makes an image, and its layers are told of', async () => {
    await ok(`
      mkdir /mnt/context && cd /mnt/context && cat > Dockerfile <<'END'
FROM localhost/busybox AS first
RUN echo made > /made && rm /etc/profile
FROM localhost/busybox
COPY --from=first /made /etc/made
RUN echo more >> /etc/made && rm /etc/profile
CMD ["cat", "/etc/made"]
END
      tare build -t localhost/built .`);
    expect(await tare('run localhost/built')).toBe('made\nmore\n');
    expect(await tare('run --userns 100000 localhost/built')).toBe('made\nmore\n');
    const layers = await tare('image layers localhost/built');
    expect(layers).toMatch(/ 1 +1 +0 +\S+ B +COPY --from=first \/made \/etc\/made\n/);
    // Changed: the file, and its folder's time.
    expect(layers).toMatch(/ 0 +2 +1 +\S+ B +RUN \/bin\/sh -c echo more/);
    expect((await tare('images')).match(/^localhost\/\w+/gm)?.sort()).toEqual(['localhost/built', 'localhost/busybox']);
    expect(await left()).toBe('');
  });

  it('nothing is left of what is removed', async () => {
    await tare('rmi localhost/built localhost/busybox');
    await tare('image prune --all');
    expect(await tare('image verify')).toBe('all as it must be: 0 images, 0 blobs (0 B), 0 unpacked layers\n');
    const folders = 'blobs/sha256 snapshots ingest leases build-cache/steps';
    expect(await ok(`cd /var/lib/tare/images && find ${folders} -mindepth 1`)).toBe('');
    expect(await left()).toBe('');
  });
});
