/** The kinds that no other test of stage uses: each does what its system call does, and fails with its errno. */
import {
  closeSync,
  constants as files,
  lstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { detectCgroups, removeCgroup } from '../../runtime/kernel/cgroup/index.js';
import { linkUp } from './container.js';
import { CLONE, O, PR } from './flags.js';
import { failure, output } from './one-lane.js';
import { CWD, NONE, planBytes, shell, step, type TestStep } from './plan-bytes.js';
import { BUILDS, Stage } from './stage.js';

const { EBADF, EINVAL, EIO, ENODEV, ENOENT, EPERM, ESRCH, ENOTTY } = constants.errno;
const EMEDIUMTYPE = 124;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-steps-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const openPath = (path: string, slot = 0) => step('openat2', [CWD, path, O.path, 0, 0], { out: [slot] });

describe.each(BUILDS)('%s: steps', (build) => {
  const run = (steps: TestStep[], given: number[] = []) => output(build, steps, given);
  const fails = (...steps: TestStep[]) => failure(build, steps);

  it('mkdirat, symlinkat, fchmodat, fchownat, unlinkat, umask, create and write', async () => {
    const file = { out: [1] };
    await run([
      step('umask', [0o77]),
      step('mkdirat', [CWD, join(folder, 'new'), 0o777]),
      openPath(join(folder, 'new')),
      step('openat2', [0, 'file', O.wronly | O.creat, 0o666, 8], file),
      step('write', [1, Buffer.from('whole')]),
      step('symlinkat', ['file', 0, 'link']),
      step('openat2', [0, 'gone', O.wronly | O.creat, 0o666, 0], file),
      step('unlinkat', [0, 'gone', 0]),
      step('fchmodat', [0, 'file', 0o640]),
      step('fchownat', [0, 'file', 12, 34, 0]),
    ]);
    const made = statSync(join(folder, 'new/file'));
    expect([made.mode & 0o777, made.uid, made.gid]).toEqual([0o640, 12, 34]);
    expect(statSync(join(folder, 'new')).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(folder, 'new/file'), 'utf8')).toBe('whole');
    expect(readlinkSync(join(folder, 'new/link'))).toBe('file');
    expect(() => lstatSync(join(folder, 'new/gone'))).toThrow(/ENOENT/);
  });

  it('mknodat makes a device, expect_device knows it', async () => {
    await run([
      step('mknodat', [CWD, join(folder, 'null'), 0o020666, 0x103]),
      openPath(join(folder, 'null')),
      step('expect_device', [0, 1, 3]),
    ]);
    expect(await fails(openPath('/dev/zero'), step('expect_device', [0, 1, 3]))).toMatchObject({ error: ENODEV });
    writeFileSync(join(folder, 'file'), '');
    expect(await fails(openPath(join(folder, 'file')), step('expect_device', [0, 0, 0]))).toMatchObject({
      error: ENODEV,
    });
  });

  it('a write that goes in part is EIO', async () => {
    const pipe = step('call', ['pipe', NONE], { out: [0] });
    await using stage = new Stage(planBytes({ lanes: [[pipe, step('write', [0, new Uint8Array(70_000)])]] }), {
      build,
    });
    const fifo = join(folder, 'fifo');
    await run([step('mknodat', [CWD, fifo, 0o010600, 0])]);
    const [both, nonblocking] = [openSync(fifo, 'r+'), openSync(fifo, files.O_WRONLY | files.O_NONBLOCK)];
    await stage.until('call');
    stage.reply(0, 2, { fds: [nonblocking] });
    expect(await stage.failure()).toMatchObject({ step: 1, error: EIO });
    for (const fd of [both, nonblocking]) closeSync(fd);
  });

  it('expect_fs tells procfs from what looks like it', async () => {
    await run([openPath('/proc/self'), step('expect_fs', [0, 0x9fa0])]);
    expect(await fails(openPath(folder), step('expect_fs', [0, 0x9fa0]))).toMatchObject({ error: EMEDIUMTYPE });
    expect(await fails(step('expect_fs', [NONE, 0x9fa0]))).toMatchObject({ error: EBADF, name: 'fstatfs' });
  });

  it('CVE-2024-21626: expect_cwd fails when the working directory is outside the root', async () => {
    await run([step('chdir', [folder]), step('expect_cwd')]);
    const leave = [openPath('/'), step('unshare', [CLONE.newns]), step('chroot', [folder]), step('fchdir', [0])];
    expect(await fails(...leave, step('expect_cwd'))).toMatchObject({ error: ENOENT, step: 4 });
  });

  it('mount and umount2, in a mount namespace of their own', async () => {
    const own = [step('unshare', [CLONE.newns]), step('mount', ['', '/', '', 0x44000, ''])];
    const tmpfs = step('mount', ['none', folder, 'tmpfs', 0, 'size=64k,mode=0711']);
    expect(await run([...own, tmpfs, shell(`stat -f -c %T ${folder}; stat -c %a ${folder}`)])).toBe('tmpfs\n711');
    expect(await run([...own, tmpfs, step('umount2', [folder, 2]), shell(`stat -c %a ${folder}`)])).toBe('700');
    expect(await fails(step('mount', ['', folder, 'no-such-type', 0, '']))).toMatchObject({ error: ENODEV });
  });

  it('netlink waits for the kernel’s answer', async () => {
    const own = step('unshare', [CLONE.newnet]);
    expect(
      await run([own, step('netlink', [0, linkUp(1)]), shell('cat /sys/class/net/lo/operstate; ip -o link')]),
    ).toMatch(/LOOPBACK,UP/);
    const second = Buffer.concat([linkUp(1), linkUp(99), linkUp(1)]);
    expect(await fails(own, step('netlink', [0, second]))).toMatchObject({ error: ENODEV, step: 1 });
    expect(await fails(step('netlink', [99, linkUp(1)]))).toMatchObject({ name: 'socket' });
  });

  it('close_others leaves one descriptor, the streams and what stage reports by', async () => {
    const steps = [
      step('openat2', [CWD, '/etc', O.path, 0, 0], { out: [0] }),
      step('openat2', [CWD, '/usr', O.path, 0, 0], { out: [1] }),
      step('close_others', [3, 0, NONE, NONE]),
      step('fchdir', [0]),
      step('fchdir', [1]),
    ];
    expect(await fails(...steps)).toMatchObject({ step: 4, error: EBADF });
    const none = [
      step('openat2', [CWD, '/etc', O.path, 0, 0], { out: [0] }),
      step('close_others', [3, NONE, NONE, NONE]),
      step('fchdir', [0]),
    ];
    expect(await fails(...none)).toMatchObject({ step: 2, error: EBADF });
    await using stage = new Stage(planBytes({ lanes: [[...steps.slice(0, 4), shell('pwd; ls /proc/$$/fd; true')]] }), {
      build,
    });
    expect(await stage.ended()).toBe(0);
    expect(stage.output).toBe('/etc\n0\n1\n2\n');
  });

  it('a process group of its own', async () => {
    await using stage = new Stage(
      planBytes({ lanes: [[step('setpgid'), shell('cut -d" " -f1,5 /proc/self/stat; echo $$')]] }),
      { build },
    );
    expect(await stage.ended()).toBe(0);
    const [stat, shellPid] = stage.output.trim().split('\n');
    expect(stat?.split(' ')[1]).toBe(shellPid);
  });

  it('a terminal: the peer by descriptor, its size, and a session of its own', async () => {
    const lane = [
      step('openat2', [CWD, '/dev/ptmx', O.rdwr | 0o400, 0, 0], { out: [0] }),
      step('pty_unlock', [0]),
      step('pty_size', [0, 91, 17]),
      step('pty_peer', [0, O.rdwr | 0o400], { out: [1] }),
      step('call', ['master', 0]),
      step('setsid'),
      step('set_ctty', [1]),
      ...[0, 1, 2].map((number) => step('dup2', [1, number])),
      shell('stty size; tty; stty size < /dev/tty'),
    ];
    // setsid fails for a process group's leader, which stage may be: the terminal is the child's.
    const plan = { lanes: [[step('clone', [1, 0, NONE], { out: [2, 3] }), step('supervise', [2, NONE, NONE])], lane] };
    await using stage = new Stage(planBytes(plan), { build, lanes: 2 });
    const { fds } = await stage.until('call');
    const terminal = new ReadStream(fds[0] as number);
    let seen = '';
    terminal.on('data', (data) => {
      seen += data;
    });
    const closed = new Promise((resolve) => terminal.on('error', resolve).on('close', resolve));
    stage.reply(1, 2);
    expect(await stage.ended()).toBe(0);
    await closed; // EIO: nobody has the other side any more
    stage.reports.splice(0);
    expect(seen.replaceAll('\r', '')).toMatch(/^17 91\n\/dev\/pts\/\d+\n17 91\n$/);
    expect(await fails(openPath('/dev/null'), step('pty_unlock', [0]))).toMatchObject({ error: EBADF });
    const file = step('openat2', [CWD, '/etc/hostname', O.rdonly, 0, 0], { out: [0] });
    expect(await fails(file, step('pty_peer', [0, 0]))).toMatchObject({ error: ENOTTY, name: 'ioctl TIOCGPTPEER' });
  });

  it('identity and capabilities', async () => {
    const groups = Buffer.from(new Uint32Array([7, 70_000]).buffer);
    const keep = (1n << 10n) | (1n << 13n); // CAP_NET_BIND_SERVICE, CAP_NET_RAW
    const status = await run([
      step('setgroups', [groups]),
      step('prctl', [8, 1, 0, 0, 0]), // PR_SET_KEEPCAPS
      step('cap_bound', [keep]),
      step('setresgid', [70_001, 70_002, 70_002]),
      step('setresuid', [80_001, 80_002, 80_002]),
      step('capset', [1n << 10n, keep, keep]),
      step('cap_ambient', [1n << 10n]),
      step('exec', [['/bin/grep'], ['grep', '-E', '^(Uid|Gid|Groups|Cap)', '/proc/self/status'], []]),
    ]);
    expect(status.replaceAll(/[\t ]+/g, ' ').split('\n')).toEqual([
      'Uid: 80001 80002 80002 80002',
      'Gid: 70001 70002 70002 70002',
      expect.stringMatching(/^Groups: 7 70000 ?$/),
      'CapInh: 0000000000002400',
      'CapPrm: 0000000000000400', // the ambient ones
      'CapEff: 0000000000000400',
      'CapBnd: 0000000000002400',
      'CapAmb: 0000000000000400',
    ]);
    expect(await fails(step('capset', [1, 0, 0]))).toMatchObject({ error: EPERM });
  });

  it('limits, and a session keyring', async () => {
    const line = 'ulimit -n; ulimit -Hn; grep -c tare-test-keyring /proc/keys';
    const steps = [step('prlimit', [7, 64, 128]), step('keyctl_join', ['tare-test-keyring']), shell(line)];
    expect(await run(steps)).toMatch(/^64\n128\n[1-9]/);
    expect(await fails(step('prlimit', [99, 1, 1]))).toMatchObject({ error: EINVAL, name: 'prlimit64' });
  });

  it('a seccomp filter, and its listener', async () => {
    const filter = refuse(83); // mkdir, and nothing else
    const steps = [step('prctl', [PR.setNoNewPrivs, 1, 0, 0, 0]), step('seccomp', [0, filter])];
    const line = `/bin/mkdir ${folder}/a || echo refused; grep Seccomp: /proc/self/status`;
    expect((await run([...steps, shell(line)])).split('\n').slice(-2)).toEqual(['refused', 'Seccomp:\t2']);
    const listening = [
      step('seccomp', [8, filter], { out: [0] }),
      step('give', ['listener', 0]),
      step('seccomp', [0, filter], { out: [1] }),
      step('chdir', ['/none'], { guardIf: 1 }),
    ];
    await using stage = new Stage(planBytes({ lanes: [listening] }), { build });
    const given = await stage.until('give');
    expect(readlinkSync(`/proc/self/fd/${given.fds[0]}`)).toBe('anon_inode:seccomp notify');
    expect(await stage.ended()).toBe(0);
    expect(await fails(step('seccomp', [0, Buffer.alloc(8, 0xff)]))).toMatchObject({ error: EINVAL });
  });

  it('a device program of a cgroup', async (ctx) => {
    const unified = detectCgroups().hierarchies.find(({ version }) => version === 2);
    if (!unified) return ctx.skip('this machine has no cgroups of version 2');
    const cgroup = mkdtempSync(join(unified.mountPoint, 'tare-steps-'));
    try {
      const open = step('openat2', [CWD, cgroup, O.directory, 0, 0], { out: [0] });
      const line = `echo 0 > ${cgroup}/cgroup.procs; cat < /dev/null || echo refused`;
      expect(await run([open, shell(line)])).toBe('');
      const denyAll = Buffer.from('b700000000000000' + '9500000000000000', 'hex'); // r0 = 0; exit
      expect(await run([open, step('cgroup_device', [0, denyAll]), shell(line)])).toMatch(/not permitted\nrefused$/);
      const loading = { name: 'bpf BPF_PROG_LOAD', error: EINVAL };
      expect(await fails(open, step('cgroup_device', [0, Buffer.alloc(8, 0xff)]))).toMatchObject(loading);
      const attaching = { name: 'bpf BPF_PROG_ATTACH', error: EBADF };
      expect(await fails(openPath('/'), step('cgroup_device', [0, denyAll]))).toMatchObject(attaching);
    } finally {
      await removeCgroup(cgroup, unified.mountPoint, { waitMs: 30_000 });
    }
  });

  it('names of a UTS namespace', async () => {
    const steps = [step('unshare', [CLONE.newuts]), step('sethostname', ['host']), step('setdomainname', ['domain'])];
    expect(await run([...steps, shell('cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname')])).toBe(
      'host\ndomain',
    );
  });

  it('open_proc of a process that is not there', async () => {
    const clone = step('clone', [1, 0, 5], { out: [0, 1], tolerate: [EBADF] });
    const missing = step('openat2', [CWD, '/none', O.path, 0, 0], { out: [5], tolerate: [ENOENT] });
    const outside = [missing, clone, step('open_proc', [0, 'status', 0], { out: [2] })];
    await using stage = new Stage(planBytes({ lanes: [outside, []] }), { build, lanes: 2 });
    expect(await stage.failure()).toMatchObject({ step: 2, error: ESRCH });
  });
});

/** SECCOMP_RET_ERRNO with EPERM for one system call of x86-64, SECCOMP_RET_ALLOW for the others. */
function refuse(call: number): Buffer {
  const instruction = (code: number, yes: number, no: number, k: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16LE(code, 0);
    bytes.writeUInt8(yes, 2);
    bytes.writeUInt8(no, 3);
    bytes.writeUInt32LE(k, 4);
    return bytes;
  };
  return Buffer.concat([
    instruction(0x20, 0, 0, 0),
    instruction(0x15, 0, 1, call),
    instruction(0x06, 0, 0, 0x0005_0001),
    instruction(0x06, 0, 0, 0x7fff_0000),
  ]);
}
