import { describe, expect, it } from 'vitest';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { diffPlans, printDiff } from '../../runtime/plan/diff.js';
import { executionOrder } from '../../runtime/plan/order.js';
import { printPlan } from '../../runtime/plan/print.js';
import { formatStep } from '../../runtime/plan/symbols.js';

/** A small container: what the tests below print and compare. */
function small(change: { host?: string; shm?: boolean } = {}) {
  const b = new PlanBuilder();
  const rootfs = b.outside
    .for('root.path')
    .openat2(
      { dir: 'cwd', path: '/srv/box', flags: 0x290000, mode: 0, resolve: 0x10 },
      { as: 'rootfs', why: 'the root' },
    );
  const init = b.outside
    .for('linux.namespaces')
    .clone({ lane: 'inside', flags: 0x24020000, cgroup: 'none' }, { as: 'init', why: 'new namespaces' });
  b.inside.for('hostname').sethostname({ name: change.host ?? 'box' }, { why: 'its own name' });
  if (change.shm !== false)
    b.inside.for('mounts[0]').mkdirat({ dir: rootfs, path: 'dev/shm', mode: 0o1777 }, { why: 'a place' });
  b.sync('inside', 'outside', { field: 'default', why: 'made' });
  b.sync('outside', 'inside', { field: 'default', why: 'start' });
  b.inside.for('process.args').exec({ candidates: ['/bin/sh'], argv: ['sh'], env: [] }, { why: 'the program' });
  b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' }, 'waits');
  return b.build();
}

const one = (add: (b: PlanBuilder) => void) => {
  const b = new PlanBuilder();
  add(b);
  return formatStep(b.build().lanes.outside.at(-1) as never);
};

describe('formatStep shows steps as strace would', () => {
  it.each<[string, (b: PlanBuilder) => void]>([
    [
      'openat2(AT_FDCWD, "/srv", O_RDWR|O_CREAT|O_CLOEXEC, 0644, RESOLVE_NO_SYMLINKS|RESOLVE_IN_ROOT) = the-file',
      (b) =>
        b.outside.openat2({ dir: 'cwd', path: '/srv', flags: 0x80042, mode: 0o644, resolve: 0x14 }, { as: 'the file' }),
    ],
    [
      'openat2(AT_FDCWD, ".", O_DIRECTORY|O_PATH, 0, 0) = openat2',
      (b) => b.outside.openat2({ dir: 'cwd', path: '.', flags: 0x210000, mode: 0, resolve: 0 }),
    ],
    [
      'mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC|0x4000000, "")',
      (b) => b.outside.mount({ source: 'proc', target: '/proc', type: 'proc', flags: 0x400000e, data: '' }),
    ],
    [
      'fsconfig(fs, FSCONFIG_SET_STRING, "mode", "755", 0)',
      (b) => b.outside.fsconfig({ fs: b.fd('fs'), command: 1, key: 'mode', value: '755', aux: 0 }),
    ],
    [
      'fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0)',
      (b) => b.outside.fsconfig({ fs: b.fd('fs'), command: 6, key: '', value: '', aux: 0 }),
    ],
    [
      'mount_setattr(m, "", AT_EMPTY_PATH|AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR__ATIME, MS_PRIVATE, -1)',
      (b) =>
        b.outside.mount_setattr({
          dir: b.fd('m'),
          path: '',
          flags: 0x9000,
          set: 1,
          clear: 0x70,
          propagation: 1 << 18,
          userns: 'none',
        }),
    ],
    [
      'mknodat(dev, "null", S_IFCHR|0666, makedev(1, 3))',
      (b) => b.outside.mknodat({ dir: b.fd('dev'), path: 'null', mode: 0o20666, device: 0x103 }),
    ],
    ['expect_fs(p, PROC_SUPER_MAGIC)', (b) => b.outside.expect_fs({ fd: b.fd('p'), magic: 0x9fa0 })],
    ['expect_fs(p, 0xabc)', (b) => b.outside.expect_fs({ fd: b.fd('p'), magic: 0xabc })],
    [
      'clone(inside, CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWPID, -1) = init, init-pidfd',
      (b) => b.outside.clone({ lane: 'inside', flags: 0x24020000, cgroup: 'none' }, { as: 'init' }),
    ],
    [
      'open_proc(self, "ns/user", O_RDONLY|O_CLOEXEC) = ns',
      (b) => b.outside.open_proc({ pid: 'self', path: 'ns/user', flags: 0x80000 }, { as: 'ns' }),
    ],
    ['setresuid(1000, -1, 0)', (b) => b.outside.setresuid({ real: 1000, effective: 2 ** 32 - 1, saved: 0 })],
    ['setgroups([4, 1000])', (b) => b.outside.setgroups({ gids: new Uint8Array(new Uint32Array([4, 1000]).buffer) })],
    ['cap_bound(CAP_CHOWN|CAP_SYS_ADMIN)', (b) => b.outside.cap_bound({ keep: (1n << 21n) | 1n })],
    ['cap_bound(ALL)', (b) => b.outside.cap_bound({ keep: (1n << 41n) - 1n })],
    [
      'prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)',
      (b) => b.outside.prctl({ option: 38, arg2: 1, arg3: 0, arg4: 0, arg5: 0 }),
    ],
    [
      'prlimit(RLIMIT_NOFILE, 1024, RLIM_INFINITY)',
      (b) => b.outside.prlimit({ resource: 7, soft: 1024, hard: 2n ** 64n - 1n }),
    ],
    [
      'seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER, <2 instructions>) = seccomp',
      (b) => b.outside.seccomp({ flags: 8, filter: new Uint8Array(16) }),
    ],
    [
      'cgroup_device(box, <3 instructions>)',
      (b) => b.outside.cgroup_device({ cgroup: b.fd('box'), program: new Uint8Array(24) }),
    ],
    ['netlink(NETLINK_ROUTE, <32 bytes>)', (b) => b.outside.netlink({ protocol: 0, messages: new Uint8Array(32) })],
    ['write(tasks, "0\\n")', (b) => b.outside.write({ fd: b.fd('tasks'), data: Buffer.from('0\n') })],
    [
      'close_range(3, ~0, CLOSE_RANGE_CLOEXEC)',
      (b) => b.outside.close_range({ first: 3, last: 2 ** 32 - 1, flags: 4 }),
    ],
    ['unlinkat(AT_FDCWD, "x", AT_REMOVEDIR)', (b) => b.outside.unlinkat({ dir: 'cwd', path: 'x', flags: 0x200 })],
    [
      'exec(["/bin/sh"], ["sh", "-c", "1", "2", "3", "4", ... 1 more], [])',
      (b) => b.outside.exec({ candidates: ['/bin/sh'], argv: ['sh', '-c', '1', '2', '3', '4', '5'], env: [] }),
    ],
    [
      'if kcore, may ENOENT or EPERM: fchdir(kcore)',
      (b) => {
        const kcore = b.fd('kcore');
        b.outside.fchdir({ fd: kcore }, { if: kcore, tolerate: ['ENOENT', 'EPERM'] });
      },
    ],
    [`chdir("${'x'.repeat(64)}"...)`, (b) => b.outside.chdir({ path: 'x'.repeat(70) })],
    [
      'sched_setattr(SCHED_DEADLINE, SCHED_FLAG_RESET_ON_FORK, 0, 0, 1, 2, 3)',
      (b) => b.outside.sched_setattr({ policy: 6, flags: 1, nice: 0, priority: 0, runtime: 1, deadline: 2, period: 3 }),
    ],
    ['ioprio_set(IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4))', (b) => b.outside.ioprio_set({ priority: 0x4004 })],
    [
      'sched_setaffinity([0-3, 7, 64])',
      (b) => b.outside.sched_setaffinity({ mask: Uint8Array.of(0x8f, 0, 0, 0, 0, 0, 0, 0, 1) }),
    ],
    [
      'set_mempolicy(MPOL_BIND|MPOL_F_STATIC_NODES, [1])',
      (b) => b.outside.set_mempolicy({ mode: 0x8002, nodes: Uint8Array.of(2) }),
    ],
    ['set_mempolicy(MPOL_DEFAULT, [])', (b) => b.outside.set_mempolicy({ mode: 0, nodes: new Uint8Array() })],
    ['personality(PER_LINUX32)', (b) => b.outside.personality({ domain: 8 })],
    ['chdir("a\\"b\\\\c")', (b) => b.outside.chdir({ path: 'a"b\\c' })],
  ])('%s', (text, add) => {
    expect(one(add)).toBe(text);
  });

  it('lets nothing through that a terminal obeys', () => {
    const evil = '\u001b]0;title\u0007\u009b31m\u202edlrow\u200b';
    const b = new PlanBuilder();
    b.outside.for(evil).chdir({ path: evil }, { why: evil });
    b.outside.fchdir({ fd: b.given(evil) });
    for (const text of [
      printPlan(b.build()),
      printPlan(b.build(), { view: 'order', width: 80 }),
      printDiff(diffPlans(b.build(), new PlanBuilder().build()), { names: [evil, 'b'] }),
    ]) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the point of the test
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/);
      expect(text).toContain('\\u{1b}');
    }
  });
});

describe('printPlan', () => {
  it('prints lane after lane', () => {
    expect(printPlan(small())).toMatchInlineSnapshot(`
      "outside: in the supervisor
        1  openat2(AT_FDCWD, "/srv/box", O_DIRECTORY|O_CLOEXEC|O_PATH, 0, RESOLVE_IN_ROOT) = rootfs  root.path         the root
        2  clone(inside, CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWPID, -1) = init, init-pidfd               linux.namespaces  new namespaces
        3  wait(inside, 1)                                                                           default           made
        4  post(inside, 2, -1)                                                                       default           start
        5  supervise(init, -1, -1)                                                                   default           waits

      inside: in the process that becomes the container
        1  sethostname("box")                 hostname      its own name
        2  mkdirat(rootfs, "dev/shm", 01777)  mounts[0]     a place
        3  post(outside, 1, -1)               default       made
        4  wait(outside, 2)                   default       start
        5  exec(["/bin/sh"], ["sh"], [])      process.args  the program
      "
    `);
  });

  it('prints lanes side by side in the order in which they run, with arrows', () => {
    const lines = printPlan(small(), { view: 'order' }).split('\n');
    expect(lines.map((line) => line.slice(0, 34).trimEnd())).toEqual([
      'outside inside',
      '   1              openat2(AT_FDCWD',
      '   2───────▶      clone(inside, CL',
      '   │       1      sethostname("box',
      '   │       2      mkdirat(rootfs,',
      '   ◀───────3      post(outside, 1,',
      '   3       │      wait(inside, 1)',
      '   4───────▶      post(inside, 2,',
      '   5       │      supervise(init,',
      '           4      wait(outside, 2)',
      '           5      exec(["/bin/sh"]',
      '',
    ]);
  });

  it.each([60, 80, 120, 200])('keeps within %i columns', (width) => {
    for (const view of ['lanes', 'order'] as const) {
      const text = printPlan(small(), { width, view });
      for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
      for (const word of ['O_DIRECTORY|', 'RESOLVE_IN_ROOT) ', 'linux.namespaces', 'the program']) {
        expect(text.replace(/\s+/g, ' ')).toContain(word);
      }
    }
  });

  it('colours only when asked', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what it looks for
    const escapes = /\u001b\[\d+m/g;
    expect(printPlan(small())).not.toMatch(escapes);
    const colored = printPlan(small(), { color: true });
    expect(colored).toMatch(escapes);
    expect(colored.replace(escapes, '')).toBe(printPlan(small()));
  });

  it('names what is given', () => {
    const b = new PlanBuilder();
    b.given('state');
    b.given('listener');
    b.outside.setsid();
    expect(printPlan(b.build())).toMatch(/^given: state, listener\n/);
  });
});

describe('executionOrder', () => {
  it('has every step once, waits after their posts', () => {
    const order = executionOrder(small()).map(({ lane, index }) => `${lane[0]}${index + 1}`);
    expect(order).toEqual(['o1', 'o2', 'i1', 'i2', 'i3', 'o3', 'o4', 'o5', 'i4', 'i5']);
  });

  it('puts what can never run last', () => {
    const b = new PlanBuilder();
    b.outside.wait({ lane: 'inside', token: 1 });
    b.inside.setsid();
    expect(executionOrder(b.build()).map(({ lane }) => lane)).toEqual(['outside', 'inside']);
  });
});

describe('diffPlans', () => {
  it('finds nothing between equal plans, though their slots have other numbers', () => {
    const b = new PlanBuilder();
    b.fd('unused');
    const rest = small();
    expect(diffPlans(small(), rest).same).toBe(true);
    expect(printDiff(diffPlans(small(), rest))).toBe('');
  });

  it('tells changed from removed, with steps around', () => {
    const diff = diffPlans(small(), small({ host: 'other', shm: false }));
    expect(diff.lanes.outside?.every(({ change }) => change === 'same')).toBe(true);
    expect(diff.lanes.inside?.map(({ change }) => change)).toEqual(['changed', 'removed', 'same', 'same', 'same']);
    expect(printDiff(diff, { names: ['one', 'two'], context: 1 })).toBe(`--- one
+++ two
@@ inside -1,3 +1,2 @@
-sethostname("box")    # hostname: its own name
+sethostname("other")    # hostname: its own name
-mkdirat(rootfs, "dev/shm", 01777)    # mounts[0]: a place
 post(outside, 1, -1)    # default: made
`);
  });

  it('shows added steps, a lane that only one side has, and separate hunks', () => {
    const a = new PlanBuilder();
    const b = new PlanBuilder();
    for (let mask = 0; mask < 20; mask++) {
      a.outside.umask({ mask });
      b.outside.umask({ mask });
      if (mask === 3 || mask === 16) b.outside.setsid();
    }
    b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.inside.exit({ status: 0 });
    const text = printDiff(diffPlans(a.build(), b.build()));
    expect(text.match(/^@@ .*@@$/gm)).toEqual([
      '@@ outside -2,6 +2,7 @@',
      '@@ outside -15,6 +16,8 @@',
      '@@ inside -0,0 +1,1 @@',
    ]);
    expect(text.match(/^\+[^+].*$/gm)).toHaveLength(4);
  });

  it('compares bytes that are shown by their size', () => {
    const filter = (byte: number) => {
      const b = new PlanBuilder();
      b.outside.seccomp({ flags: 0, filter: new Uint8Array(8).fill(byte) });
      return b.build();
    };
    expect(diffPlans(filter(1), filter(2)).lanes.outside?.[0]?.change).toBe('changed');
  });
});
