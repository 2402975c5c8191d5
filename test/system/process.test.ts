/** What a process of a container is given: its user, limits and capabilities, its place with the scheduler. Looked at from outside. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { thisCaller } from '../../runtime/container/caller.js';
import { inspectProcess, localProc } from '../../runtime/inspect/index.js';
import { RLIMITS } from '../../runtime/kernel/rlimits.js';
import type { Scheduler } from '../../runtime/oci/index.js';
import { makeBundle } from '../harness/bundle.js';
import { inWorld } from '../harness/world.js';
import { mapUsers, type Running, runBundle, setNamespace } from './bundle.js';

const inspect = ({ pid }: Running) => inspectProcess(localProc(), pid);

const status = (pid: number, field: string) =>
  new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.trim();

/** proc_pid_stat(5): nice, rt_priority and policy. */
function scheduling(pid: number): { nice: number; priority: number; policy: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return { nice: fields[16] as number, priority: fields[37] as number, policy: fields[38] as number };
}

describe('process.scheduler', () => {
  it.each<[string, Scheduler, ReturnType<typeof scheduling>]>([
    ['nice', { policy: 'SCHED_OTHER', nice: -5 }, { nice: -5, priority: 0, policy: 0 }],
    ['batch', { policy: 'SCHED_BATCH', nice: 19, priority: 0 }, { nice: 19, priority: 0, policy: 3 }],
    ['idle', { policy: 'SCHED_IDLE' }, { nice: 0, priority: 0, policy: 5 }],
    ['first come', { policy: 'SCHED_FIFO', priority: 3 }, { nice: 0, priority: 3, policy: 1 }],
    ['in turn', { policy: 'SCHED_RR', priority: 99 }, { nice: 0, priority: 99, policy: 2 }],
  ])('%s', async (_, scheduler, is) => {
    await using running = await runBundle(({ process }) => {
      process.scheduler = scheduler as typeof process.scheduler;
    });
    expect(scheduling(running.pid)).toEqual(is);
  });

  it('with a deadline, and no right to give it to children', async () => {
    await using running = await runBundle(({ process }) => {
      process.scheduler = {
        policy: 'SCHED_DEADLINE',
        flags: ['SCHED_FLAG_RESET_ON_FORK'],
        runtime: 42_000,
        deadline: 100_000,
        period: 1_000_000,
      };
    });
    const said = execFileSync('chrt', ['-p', `${running.pid}`], { encoding: 'utf8' });
    expect(said).toContain('SCHED_DEADLINE|SCHED_RESET_ON_FORK');
    expect(said).toContain('42000/100000/1000000');
  });

  it.each([
    ['SCHED_ISO', { policy: 'SCHED_ISO' }, /SCHED_ISO, which no Linux/],
    ['too short a time', { policy: 'SCHED_DEADLINE', runtime: 1, deadline: 2, period: 3 }, /sched_setattr\(.*EINVAL/],
  ] as const)('%s is refused', async (_, scheduler, sentence) => {
    const started = runBundle(({ process }) => {
      process.scheduler = { ...scheduler };
    });
    await expect(started).rejects.toThrow(sentence);
  });

  it('says what a deadline and a set of processors have to do with each other', async () => {
    const started = runBundle(({ process, linux }) => {
      process.scheduler = { policy: 'SCHED_DEADLINE', runtime: 42_000, deadline: 1_000_000 };
      linux.resources = { cpu: { cpus: '0' } };
    });
    await expect(started).rejects.toThrow("process scheduler can't be used together with AllowedCPUs");
  });
});

describe('process.ioPriority', () => {
  it.each([
    ['IOPRIO_CLASS_RT', 0, 'realtime: prio 0'],
    ['IOPRIO_CLASS_BE', 4, 'best-effort: prio 4'],
    ['IOPRIO_CLASS_IDLE', 0, 'idle'],
  ] as const)('%s %i', async (name, priority, is) => {
    await using running = await runBundle(({ process }) => {
      process.ioPriority = { class: name, priority };
    });
    expect(execFileSync('ionice', ['-p', `${running.pid}`], { encoding: 'utf8' }).trim()).toBe(is);
  });
});

describe('processors and memory', () => {
  it('are not those that the caller is bound to', async () => {
    const here = status(process.pid, 'Cpus_allowed_list');
    expect(here, 'this test needs two processors').toMatch(/[,-]/);
    execFileSync('taskset', ['-p', '-c', '0', `${process.pid}`]);
    try {
      await using running = await runBundle(() => {});
      expect(status(running.pid, 'Cpus_allowed_list')).toBe(here);
    } finally {
      execFileSync('taskset', ['-p', '-c', here as string, `${process.pid}`]);
    }
  });

  it('are those of its cgroup', async () => {
    await using running = await runBundle(({ linux }) => {
      linux.resources = { cpu: { cpus: '1', mems: '0' } };
    });
    expect(status(running.pid, 'Cpus_allowed_list')).toBe('1');
  });

  it.each([
    ['MPOL_INTERLEAVE', [], 'interleave:0'],
    ['MPOL_BIND', ['MPOL_F_STATIC_NODES'], 'bind=static:0'],
    ['MPOL_PREFERRED', ['MPOL_F_RELATIVE_NODES'], 'prefer=relative:0'],
  ] as const)('memoryPolicy %s', async (mode, flags, is) => {
    await using running = await runBundle(({ linux }) => {
      linux.memoryPolicy = { mode, nodes: '0', flags: [...flags] };
    });
    expect(readFileSync(`/proc/${running.pid}/numa_maps`, 'utf8').split(/\s/)[1]).toBe(is);
  });

  it('memoryPolicy of a node that is not there is refused', async () => {
    const started = runBundle(({ linux }) => {
      linux.memoryPolicy = { mode: 'MPOL_BIND', nodes: '63' };
    });
    await expect(started).rejects.toThrow(/set_mempolicy\(.*EINVAL.*linux.memoryPolicy/);
  });

  it.each([
    ['LINUX32', '00000008'],
    ['LINUX', '00000000'],
  ] as const)('personality %s', async (domain, is) => {
    await using running = await runBundle(({ linux }) => {
      linux.personality = { domain };
      // The call itself may be forbidden: it is made before.
      linux.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['personality'], action: 'SCMP_ACT_ERRNO' }],
      };
    });
    expect(readFileSync(`/proc/${running.pid}/personality`, 'utf8').trim()).toBe(is);
  });
});

describe('process.user', () => {
  it('has groups, a umask, and owns its standard streams', async () => {
    await using running = await runBundle(
      ({ process, root }) => {
        process.user = { uid: 1000, gid: 100, additionalGids: [7, 2_000_000_000], umask: 0o027 };
        process.args = ['sh', '-c', 'echo again > /dev/stdout && touch /tmp/made; sleep 1000'];
        chmodSync(join(root?.path ?? '', 'tmp'), 0o1777);
      },
      { user: { uid: 1000, gid: 100 } },
    );
    await expect.poll(running.output).toBe('again\n');
    const facts = await inspect(running);
    expect(facts.uids).toEqual({ real: 1000, effective: 1000, saved: 1000, filesystem: 1000 });
    expect(facts.gids).toEqual({ real: 100, effective: 100, saved: 100, filesystem: 100 });
    expect(facts.groups).toEqual([7, 2_000_000_000]);
    expect(status(running.pid, 'Umask')).toBe('0027');
    expect(statSync(join(running.folder, 'output')).uid).toBe(1000);
    await expect
      .poll(() => statSync(join(running.folder, 'rootfs/tmp/made'), { throwIfNoEntry: false })?.mode)
      .toBe(0o100640);
  });

  it('does not own the terminal of who started it', () =>
    inWorld('tty', async (world) => {
      const { path } = makeBundle(world, 'tty', { process: { user: { uid: 1000, gid: 100 } } });
      const words = `tare-oci run -b ${path} tty; echo "of $(stat -c %u $(tty))"`;
      const ran = await world.run(['script', '-qec', `bash -c '${words}'`, '/dev/null']);
      expect(ran.stdout.trim()).toMatch(/of 0$/);
    }));

  it('keeps no group of the caller', async () => {
    await using running = await runBundle(() => {});
    expect((await inspect(running)).groups).toEqual([]);
  });
});

describe('process.rlimits', () => {
  it('has every name, as far as the caller may give it', async () => {
    // Of these the kernel checks the value against limits of its own.
    const most: Partial<Record<(typeof RLIMITS)[number], bigint>> = {
      RLIMIT_NOFILE: 1000n,
      RLIMIT_NICE: 40n,
      RLIMIT_RTPRIO: 99n,
    };
    const asked = RLIMITS.map((type, i) => ({
      type,
      soft: most[type] ?? BigInt(100_000_000 + i),
      hard: most[type] ?? 2n ** 63n,
    }));
    await using running = await runBundle(({ process }) => {
      process.rlimits = asked;
    });
    const { hardLimit } = thisCaller();
    const given = asked.map(({ type, soft, hard }, i) => {
      const allowed = hardLimit(i);
      const within = (value: bigint) => (allowed !== undefined && value > allowed ? allowed : value);
      return { type, soft: within(soft), hard: within(hard), lowered: within(hard) !== hard };
    });
    const show = (value: bigint) => (value > 2n ** 53n ? null : Number(value));
    expect((await inspect(running)).resourceLimits).toEqual(
      Object.fromEntries(given.map(({ type, soft, hard }) => [type, { soft: show(soft), hard: show(hard) }])),
    );
    expect(running.warnings.map((sentence) => /RLIMIT_[A-Z]+/.exec(sentence)?.[0])).toEqual(
      given.filter(({ lowered }) => lowered).map(({ type }) => type),
    );
  });
});

describe('the limit of open files', () => {
  it.each([
    ['is that of who started tare, not the one that Node gives itself', '', '100'],
    ['is what the bundle says', '[{"type":"RLIMIT_NOFILE","soft":150,"hard":200}]', '150'],
  ])('%s', (_, rlimits, is) =>
    inWorld('files', async (world) => {
      const { path } = makeBundle(world, 'ulimit -Sn', {
        process: { ...(rlimits && { rlimits: JSON.parse(rlimits) }) },
      });
      const ran = await world.run(['sh', '-c', `ulimit -Sn 100; tare-oci run -b ${path} files; exit $?`]);
      expect(ran).toMatchObject({ status: 0, stdout: `${is}\n` });
    }),
  );
});

describe('process.capabilities', () => {
  it('has five sets, as far as the program keeps them, and says what it leaves out', async () => {
    await using running = await runBundle(({ process }) => {
      process.user = { uid: 1000, gid: 1000 };
      process.capabilities = {
        bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW', 'CAP_UNKNOWN'],
        permitted: ['CAP_CHOWN', 'CAP_KILL'],
        effective: ['CAP_CHOWN', 'CAP_NET_RAW'],
        inheritable: ['CAP_KILL', 'CAP_NET_RAW'],
        ambient: ['CAP_KILL', 'CAP_CHOWN'],
      };
    });
    expect((await inspect(running)).capabilities).toEqual({
      bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_RAW'],
      // capabilities(7), "Transformation of capabilities during execve()": without file capabilities the ambient ones are left.
      permitted: ['CAP_KILL'],
      effective: ['CAP_KILL'],
      inheritable: ['CAP_KILL', 'CAP_NET_RAW'],
      ambient: ['CAP_KILL'],
    });
    expect(running.warnings).toEqual([
      'process.capabilities.bounding: there is no capability "CAP_UNKNOWN"; it is left out',
      'process.capabilities.effective: CAP_NET_RAW is left out: not permitted',
      "process.capabilities.ambient: can't raise ambient capability CAP_CHOWN: not permitted and inheritable",
    ]);
  });

  it('has all in a user namespace of its own, whatever the caller has', async () => {
    await using running = await runBundle((config) => {
      setNamespace(config, 'user');
      mapUsers(config);
      const all = ['CAP_SYS_ADMIN', 'CAP_SYS_TIME'];
      config.process.capabilities = { bounding: all, permitted: all, effective: all };
      config.process.noNewPrivileges = false;
    });
    const { capabilities, noNewPrivs } = await inspect(running);
    expect(capabilities.effective).toEqual(['CAP_SYS_ADMIN', 'CAP_SYS_TIME']);
    expect(noNewPrivs).toBe(false);
    expect(running.warnings).toEqual([]);
  });
});

describe('the session keyring', () => {
  it.each([
    [false, '1'],
    [true, '0'],
  ])('with noNewKeyring %s', async (noNewKeyring, count) => {
    const id = `keyring-${process.pid}-${noNewKeyring}`;
    await using running = await runBundle(
      ({ process: program, linux }) => {
        program.args = ['sh', '-c', `grep -c ' _ses.${id}[.]' /proc/keys; sleep 1000`];
        linux.maskedPaths = [];
      },
      {},
      { id, noNewKeyring },
    );
    await expect.poll(running.output).toBe(`${count}\n`);
  });
});

describe('what this kernel does not have', () => {
  const modules = spawnSync('cat', ['/sys/kernel/security/lsm'], { encoding: 'utf8' }).stdout;
  it.each([
    ['apparmorProfile', 'AppArmor', 'apparmor'],
    ['selinuxLabel', 'SELinux', 'selinux'],
  ] as const)('%s is refused in one sentence', async (field, name, module) => {
    const started = runBundle(({ process }) => {
      process[field] = 'a-label';
    });
    if (modules.includes(module)) return (await started)[Symbol.asyncDispose]();
    await expect(started).rejects.toThrow(`${name} is not enabled in this kernel`);
  });

  it('unconfined is what a process is without AppArmor', async () => {
    await using running = await runBundle(({ process }) => {
      process.apparmorProfile = 'unconfined';
    });
    expect(running.pid).toBeGreaterThan(0);
  });
});
