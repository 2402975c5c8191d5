/** copy_tree: everything of a directory, by descriptor; nothing of what its links lead to. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { CLONE, O } from './flags.js';
import { CWD, planBytes, step } from './plan-bytes.js';
import { BUILDS, Stage } from './stage.js';

const { EBADF, ELOOP, ENOSPC, ENOTDIR } = constants.errno;
let folder: string;
let from: string;
let to: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-copy-'));
  [from, to] = [join(folder, 'from'), join(folder, 'to')];
  mkdirSync(from);
  mkdirSync(to);
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const both = () => [
  step('openat2', [CWD, from, O.path, 0, 0], { out: [0] }),
  step('openat2', [CWD, to, O.path, 0, 0], { out: [1] }),
];

describe.each(BUILDS)('%s: copy_tree', (build) => {
  async function copy(): Promise<void> {
    await using stage = new Stage(planBytes({ lanes: [[...both(), step('copy_tree', [0, 1])]] }), { build });
    if ((await stage.ended()) !== 0) throw new Error(`${JSON.stringify(await stage.failure())} ${stage.output}`);
  }
  async function fails(...steps: ReturnType<typeof step>[]): Promise<number> {
    await using stage = new Stage(planBytes({ lanes: [steps] }), { build });
    return (await stage.failure()).error;
  }

  it('copies names, content, modes, owners, times and attributes', async () => {
    mkdirSync(join(from, 'dir/empty'), { recursive: true });
    writeFileSync(join(from, 'dir/large'), Buffer.alloc(100_001, 'x'));
    writeFileSync(join(from, 'tool'), 'tool');
    linkSync(join(from, 'tool'), join(from, 'dir/hard'));
    chownSync(join(from, 'tool'), 12, 34);
    const python = (line: string, path: string) => execFileSync('python3', ['-c', `import os, sys; ${line}`, path]);
    python('os.setxattr(sys.argv[1], "user.note", b"kept")', join(from, 'tool'));
    execFileSync('setcap', ['cap_net_raw+ep', join(from, 'tool')]);
    chmodSync(join(from, 'tool'), 0o6751);
    chmodSync(join(from, 'dir'), 0o1733);
    chownSync(join(from, 'dir/empty'), 1000, 1000);
    utimesSync(join(from, 'tool'), 1000, 2000);
    utimesSync(join(from, 'dir'), 3000, 4000);
    chmodSync(from, 0o711);
    await copy();
    const facts = (root: string) =>
      ['.', 'dir', 'dir/large', 'dir/hard', 'dir/empty', 'tool'].map((name) => {
        const { mode, uid, gid, size, mtimeMs } = lstatSync(join(root, name));
        return [name, mode, uid, gid, name.includes('large') ? size : 0, mtimeMs];
      });
    expect(facts(to)).toEqual(facts(from));
    expect(readFileSync(join(to, 'dir/large'), 'utf8')).toHaveLength(100_001);
    expect(lstatSync(join(to, 'tool')).nlink).toBe(1);
    python('assert os.getxattr(sys.argv[1], "user.note") == b"kept"', join(to, 'tool'));
    expect(execFileSync('getcap', [join(to, 'tool')], { encoding: 'utf8' })).toMatch(/cap_net_raw=ep/);
  });

  it('copies holes as holes: a file of an image may be larger than the disk', async () => {
    const parts = [
      [64 << 10, 'in the middle'],
      [(256 << 20) - 5, 'the end'],
    ] as const;
    for (const [name, size] of [
      ['data', 0],
      ['hole', 300 << 20],
    ] as const) {
      const fd = openSync(join(from, name), 'w');
      for (const [at, text] of parts) writeSync(fd, text, at);
      if (size > 0) ftruncateSync(fd, size);
      closeSync(fd);
    }
    await copy();
    for (const name of ['data', 'hole']) {
      const { size, blocks } = lstatSync(join(to, name));
      expect([name, size]).toEqual([name, lstatSync(join(from, name)).size]);
      expect(blocks * 512).toBeLessThan(1 << 20);
      const fd = openSync(join(to, name), 'r');
      for (const [at, text] of parts) {
        const found = Buffer.alloc(text.length + 2);
        readSync(fd, found, 0, found.length, at - 1);
        expect(found.toString().replaceAll('\0', '')).toBe(text);
      }
      closeSync(fd);
    }
  });

  it('copies links as links, devices and pipes as such, and no sockets', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'secret');
    symlinkSync(secret, join(from, 'out'));
    symlinkSync(folder, join(from, 'up'));
    symlinkSync('nowhere', join(from, 'dangling'));
    lutimesSync(join(from, 'out'), 100, 200);
    execFileSync('mknod', [join(from, 'null'), 'c', '1', '3']);
    execFileSync('mkfifo', ['-m', '0620', join(from, 'pipe')]);
    const folderFd = openSync(from, 'r');
    closeSync(native.listenAt(folderFd, 'socket'));
    closeSync(folderFd);
    chownSync(secret, 0, 0);
    await copy();
    expect(readdirSync(to).sort()).toEqual(['dangling', 'null', 'out', 'pipe', 'up']);
    expect([readlinkSync(join(to, 'out')), readlinkSync(join(to, 'up'))]).toEqual([secret, folder]);
    expect(lstatSync(join(to, 'out')).mtimeMs).toBe(200_000);
    expect(lstatSync(join(to, 'null')).rdev).toBe(0x103);
    expect(lstatSync(join(to, 'pipe')).mode).toBe(0o010620);
    expect(lstatSync(secret).mode & 0o777).toBe(0o644);
  });

  it('ends where it is deep, large, or no directory', async () => {
    let deep = from;
    for (let i = 0; i < 202; i++) deep = join(deep, 'd');
    mkdirSync(deep, { recursive: true });
    const end = step('copy_tree', [0, 1]);
    expect(await fails(...both(), end)).toBe(ELOOP);
    rmSync(join(from, 'd'), { recursive: true });
    rmSync(to, { recursive: true });
    mkdirSync(to);

    writeFileSync(join(from, 'large'), Buffer.alloc(100_000));
    const own = [step('unshare', [CLONE.newns]), step('mount', ['', '/', '', 0x44000, ''])];
    expect(await fails(...own, step('mount', ['none', to, 'tmpfs', 0, 'size=4k']), ...both(), end)).toBe(ENOSPC);

    const file = step('openat2', [CWD, join(from, 'large'), O.path, 0, 0], { out: [0] });
    expect(await fails(file, both()[1] as never, end)).toBe(ENOTDIR);
  });

  it('copies what a user namespace may: no devices, and unknown owners become its root, without the right to be them', async () => {
    writeFileSync(join(from, 'theirs'), '');
    chownSync(join(from, 'theirs'), 4242, 4242);
    chmodSync(join(from, 'theirs'), 0o6755);
    execFileSync('mknod', [join(from, 'null'), 'c', '1', '3']);
    chownSync(to, 100_000, 100_000);
    chmodSync(folder, 0o755);
    // The descriptors are from outside; inside is root of a user namespace that has no 4242, and owns the target.
    const maps = ['uid_map', 'gid_map'].flatMap((name) => [
      step('open_proc', [0, name, O.wronly], { out: [2] }),
      step('write', [2, Buffer.from('0 100000 1000\n')]),
      step('close', [2]),
    ]);
    const outside = [
      step('clone', [1, CLONE.newuser, -1], { out: [0, 1] }),
      ...maps,
      step('post', [1, 1, -1]),
      step('supervise', [0, -1, -1]),
    ];
    const inside = [
      step('wait', [0, 1]),
      step('setresgid', [0, 0, 0]),
      step('setresuid', [0, 0, 0]),
      step('openat2', [CWD, from, O.path, 0, 0], { out: [3] }),
      step('openat2', [CWD, to, O.path, 0, 0], { out: [4] }),
      step('copy_tree', [3, 4]),
      step('exit', [0]),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, inside], slots: 8 }), { build, lanes: 2 });
    if ((await stage.ended()) !== 0) throw new Error(`${JSON.stringify(await stage.failure())} ${stage.output}`);
    expect(readdirSync(to)).toEqual(['theirs']);
    const { mode, uid, gid } = lstatSync(join(to, 'theirs'));
    expect([mode & 0o7777, uid, gid]).toEqual([0o755, 100_000, 100_000]);
  });

  it('an empty slot is EBADF', async () => {
    const fd = openSync(to, 'r');
    expect(await fails(both()[1] as never, step('copy_tree', [-1, 1]))).toBe(EBADF);
    closeSync(fd);
  });
});
