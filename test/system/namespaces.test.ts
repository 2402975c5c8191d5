/**
 * Namespaces of a real container, by the inodes of /proc/PID/ns: new, inherited, joined by path, in every order that a user
 * namespace makes.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { hasEnded, until } from '../stage/stage.js';
import {
  dropNamespace,
  LINKS,
  type Mutable,
  mapUsers,
  namespaceOf,
  type Running,
  runBundle,
  setNamespace,
  type Type,
} from './bundle.js';

const TYPES = Object.keys(LINKS) as Type[];
const path = (pid: number, type: Type) => `/proc/${pid}/ns/${LINKS[type]}`;
const ofHost = (type: Type) => namespaceOf('self', type);

/** Joins these of another container. */
const joining = (other: Running, types: readonly Type[]) => (config: Mutable) => {
  for (const type of types) setNamespace(config, type, path(other.pid, type));
};

/** The first user of the host that is one of the containers'. */
const FIRST = 200_000;

/** A user namespace of its own, and a time namespace. */
const withUsers = (config: Mutable) => {
  setNamespace(config, 'user');
  setNamespace(config, 'time');
  mapUsers(config, FIRST);
};

/** For a container that may not mount a proc: its pid namespace is another user namespace's. */
const withoutProc = (config: Mutable) => {
  config.mounts = config.mounts?.filter(({ type }) => type !== 'proc');
  config.linux.maskedPaths = [];
  config.linux.readonlyPaths = [];
};

const expectSame = (one: Running, other: Running, types: readonly Type[]) =>
  expect(types.map((type) => [type, one.ns(type)])).toEqual(types.map((type) => [type, other.ns(type)]));

/** What a further process in it writes. */
async function execIn({ container, folder, pid }: Running, script: string): Promise<string> {
  const file = join(folder, 'exec');
  const output = openSync(file, 'w');
  const input = openSync('/dev/null', 'r');
  try {
    const process = { args: ['sh', '-c', `exec 2>&1; ${script}`], cwd: '/', user: { uid: 0, gid: 0 } };
    const further = await container.exec({ process, stdio: [input, output, output] });
    expect(status(pid, 'NSpid')).toBeDefined();
    await further.wait();
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

/** The rest are its own: neither the host's nor the other's. */
const expectOwn = (one: Running, other: Running, types: readonly Type[]) => {
  for (const type of types) expect([ofHost(type), other.ns(type)], type).not.toContain(one.ns(type));
};

const status = (pid: number, field: string) =>
  new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];

describe('a namespace joined by path', () => {
  it.each(['network', 'ipc', 'uts', 'cgroup', 'pid', 'time'] as const)(
    '%s is that of the other container',
    async (type) => {
      await using first = await runBundle((config) => setNamespace(config, type));
      await using second = await runBundle(joining(first, [type]));
      expectSame(second, first, [type]);
      expectOwn(first, second, []);
      expect(first.ns(type)).not.toBe(ofHost(type));
      expectOwn(
        second,
        first,
        TYPES.filter((other) => !['user', 'time', type].includes(other)),
      );
    },
  );

  it('all at once, but for the mounts, is a pod', async () => {
    const types: Type[] = ['network', 'ipc', 'uts', 'cgroup', 'pid', 'time'];
    await using first = await runBundle((config) => setNamespace(config, 'time'));
    await using second = await runBundle(joining(first, types));
    expectSame(second, first, types);
    expectOwn(second, first, ['mount']);
    expect(
      (await execIn(second, 'for n in net pid time mnt; do readlink /proc/self/ns/$n; done')).trim().split('\n'),
    ).toEqual((['network', 'pid', 'time', 'mount'] as const).map((type) => second.ns(type)));
    // Its proc is that of the pid namespace that it joined.
    expect(readFileSync(`/proc/${second.pid}/root/proc/1/comm`, 'utf8').trim()).toBe('sleep');
    expect(status(second.pid, 'NSpid')?.split(/\s+/)).toHaveLength(2);
  });
});

describe('a pid namespace that is joined', () => {
  it('and has lost its first process takes no other, which is said', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tare-pidns-'));
    const file = join(folder, 'pid');
    writeFileSync(file, '');
    try {
      execFileSync('unshare', [`--pid=${file}`, '--fork', 'true']);
      const joining = runBundle((config) => setNamespace(config, 'pid', file));
      await expect(joining).rejects.toThrow(/ENOMEM.*the pid namespace has lost its first process/);
    } finally {
      execFileSync('umount', [file]);
      rmSync(folder, { recursive: true });
    }
  });

  it('loses all processes of the container when that is deleted, and no other', async () => {
    const script = 'sleep 998 & sleep 998 & exec sleep 997';
    await using first = await runBundle(() => undefined);
    let others: number[] = [];
    {
      await using second = await runBundle((config) => {
        joining(first, ['pid'])(config);
        config.process.args = ['sh', '-c', script];
      });
      const children = () => readFileSync(`/proc/${second.pid}/task/${second.pid}/children`, 'utf8').trim().split(' ');
      await until(() => children().length === 2);
      others = children().map(Number);
      expect(others.map(hasEnded)).toEqual([false, false]);
    }
    expect(others.map(hasEnded)).toEqual([true, true]);
    expect(hasEnded(first.pid)).toBe(false);
  });
});

describe('a new user namespace', () => {
  it('together with namespaces of the host’s that are joined owns what is new', async () => {
    const types: Type[] = ['network', 'ipc', 'uts', 'cgroup'];
    await using first = await runBundle(() => undefined);
    await using second = await runBundle((config) => {
      joining(first, types)(config);
      withUsers(config);
      config.mounts = config.mounts?.filter(({ type }) => type !== 'cgroup');
    });
    expectSame(second, first, types);
    expectOwn(second, first, ['user', 'mount', 'pid', 'time']);
    expect(status(second.pid, 'Uid')?.split(/\s+/)).toEqual(['200000', '200000', '200000', '200000']);
    expect(status(second.pid, 'CapEff')).toBe('00000000a80425fb');
    // Its queues are those of the host's namespace, mounted by the bridge; a sysfs of the network there is none for it, but the host's.
    expect(readFileSync(`/proc/${second.pid}/mountinfo`, 'utf8')).toMatch(/ \/dev\/mqueue [^\n]* - mqueue /);
  });

  it('together with the pid namespace of the host, whose proc may be shown but not mounted', async () => {
    const change = (config: Mutable) => {
      dropNamespace(config, 'pid');
      withUsers(config);
      config.linux.sysctl = { 'net.ipv4.ping_group_range': '0 0' };
    };
    await expect(runBundle(change)).rejects.toThrow(
      'mounts[0] is a proc of a namespace (pid) that is not of the container',
    );
    await using one = await runBundle((config) => {
      change(config);
      config.mounts = config.mounts?.map((mount) =>
        mount.type === 'proc' ? { destination: '/proc', type: 'bind', source: '/proc', options: ['rbind'] } : mount,
      );
      config.linux.maskedPaths = [];
      config.linux.readonlyPaths = [];
    });
    expect(one.ns('pid')).toBe(ofHost('pid'));
    const range = execFileSync('nsenter', ['-t', String(one.pid), '-n', 'cat', '/proc/sys/net/ipv4/ping_group_range']);
    expect(range.toString().trim().split(/\s+/)).toEqual(['200000', '200000']);
  });

  it('together with a pid namespace of the host’s', async () => {
    await using first = await runBundle(() => undefined);
    await using second = await runBundle((config) => {
      joining(first, ['pid'])(config);
      withUsers(config);
      withoutProc(config);
    });
    expectSame(second, first, ['pid']);
    expectOwn(second, first, ['user', 'mount', 'network', 'ipc', 'uts', 'time']);
  });
});

describe('a user namespace joined by path', () => {
  it.each<[string, Type[]]>([
    ['with new ones for the rest', ['user']],
    ['with a network that it owns', ['user', 'network']],
    ['with all that it owns but mounts', ['user', 'network', 'ipc', 'uts', 'cgroup', 'pid', 'time']],
    ['with its pid namespace', ['user', 'pid']],
  ])('%s', async (_, types) => {
    await using first = await runBundle(withUsers);
    await using second = await runBundle(
      (config) => {
        setNamespace(config, 'time');
        joining(first, types)(config);
        config.process.oomScoreAdj = 77;
        config.hostname = 'joined';
      },
      {},
      { rootfsOwner: FIRST },
    );
    expectSame(second, first, types);
    expectOwn(
      second,
      first,
      TYPES.filter((type) => !types.includes(type)),
    );
    expect(status(second.pid, 'Uid')?.split(/\s+/)[0]).toBe('200000');
    expect(
      (await execIn(second, 'for n in user net pid mnt; do readlink /proc/self/ns/$n; done; id -u')).trim().split('\n'),
    ).toEqual([...(['user', 'network', 'pid', 'mount'] as const).map((type) => second.ns(type)), '0']);
    expect(readFileSync(`/proc/${second.pid}/oom_score_adj`, 'utf8').trim()).toBe('77');
  });

  it('with a network of the host’s, which is joined before', async () => {
    await using users = await runBundle(withUsers);
    await using network = await runBundle(() => undefined);
    await using both = await runBundle(
      (config) => {
        joining(users, ['user'])(config);
        joining(network, ['network'])(config);
        config.mounts = config.mounts?.filter(({ type }) => type !== 'sysfs');
      },
      {},
      { rootfsOwner: FIRST },
    );
    expectSame(both, users, ['user']);
    expectSame(both, network, ['network']);
  });
});

describe('on a kernel without CLONE_INTO_CGROUP and mount_setattr', () => {
  const poorer = withoutFeatures(probeFeatures(), 'cloneIntoCgroup', 'mountSetattr');

  it.each<[string, Type[]]>([
    ['a pid namespace', ['pid']],
    ['a user namespace, with its network', ['user', 'network']],
  ])('joins %s', async (_, types) => {
    await using first = await runBundle(withUsers, {}, { features: poorer });
    await using second = await runBundle(joining(first, types), {}, { rootfsOwner: FIRST, features: poorer });
    expectSame(second, first, types);
    const place = (pid: number) =>
      readFileSync(`/proc/${pid}/cgroup`, 'utf8')
        .split('\n')
        .find((line) => line.startsWith('0::'));
    expect(place(second.pid)).toContain(second.container.id);
  });
});

describe('linux.timeOffsets', () => {
  const offsets = { monotonic: { secs: 86_400, nanosecs: 5 }, boottime: { secs: 172_800 } };
  const uptime = (text: string) => Number(text.split(' ')[0]);

  it.each<[string, (config: Mutable) => void]>([
    ['alone', () => undefined],
    ['in a new user namespace', (config) => withUsers(config)],
  ])('set the clocks of the container: %s', async (_, edit) => {
    await using one = await runBundle((config) => {
      setNamespace(config, 'time');
      edit(config);
      config.linux.timeOffsets = offsets;
      config.process.oomScoreAdj = 33;
      config.process.args = ['sh', '-c', 'cat /proc/uptime; cat /proc/self/timens_offsets; exec sleep 1000'];
    });
    await until(() => one.output().split('\n').length > 3);
    const [up = '', ...lines] = one.output().trim().split('\n');
    expect(uptime(up) - uptime(readFileSync('/proc/uptime', 'utf8'))).toBeGreaterThan(172_700);
    expect(lines.map((line) => line.trim().split(/\s+/))).toEqual([
      ['monotonic', '86400', '5'],
      ['boottime', '172800', '0'],
    ]);
    expect(one.ns('time')).not.toBe(ofHost('time'));
    expect(readFileSync(`/proc/${one.pid}/oom_score_adj`, 'utf8').trim()).toBe('33');
    // The bridge has gone.
    expect(status(one.pid, 'PPid')).toBe(String(one.stage));
    expect(readFileSync(`/proc/${one.stage}/task/${one.stage}/children`, 'utf8').trim()).toBe(String(one.pid));
  });

  it('hold in a user namespace that is joined, with its network', async () => {
    await using first = await runBundle(withUsers);
    await using second = await runBundle(
      (config) => {
        joining(first, ['user', 'network'])(config);
        setNamespace(config, 'time');
        config.linux.timeOffsets = offsets;
      },
      {},
      { rootfsOwner: FIRST },
    );
    expectSame(second, first, ['user', 'network']);
    expectOwn(second, first, ['time']);
    expect(readFileSync(`/proc/${second.pid}/timens_offsets`, 'utf8')).toMatch(
      /monotonic +86400 +5\nboottime +172800 +0\n/,
    );
  });

  it('that no clock can have are refused, and no process is left', async () => {
    const pids: number[] = [];
    const failing = runBundle(
      (config) => {
        setNamespace(config, 'time');
        config.linux.timeOffsets = { monotonic: { secs: -(2 ** 40) } };
      },
      {},
      { onProcess: (_, pid) => void pids.push(pid) },
    );
    await expect(failing).rejects.toThrow(/write.*ERANGE.*linux.timeOffsets/);
    expect(pids).toHaveLength(2);
    expect(pids.map(hasEnded)).toEqual([true, true]);
  });
});

describe('a path that leads to no namespace of its kind', () => {
  it.each([
    [
      'another kind',
      '/proc/self/ns/net',
      'linux.namespaces[5].path must lead to a namespace of type ipc, which /proc/self/ns/net is not',
    ],
    ['no namespace', '/etc/passwd', 'must lead to a namespace of type ipc, which /etc/passwd is not'],
    ['nothing', '/proc/self/ns/none', 'linux.namespaces[5].path: /proc/self/ns/none does not exist'],
  ])('is refused before anything is made: %s', async (_, file, sentence) => {
    await expect(runBundle((config) => setNamespace(config, 'ipc', file))).rejects.toThrow(sentence);
  });

  it('is inherited where it is the caller’s own', async () => {
    await using one = await runBundle((config) => {
      for (const type of ['network', 'ipc', 'user', 'pid', 'time'] as const)
        setNamespace(config, type, `/proc/self/ns/${LINKS[type]}`);
    });
    for (const type of ['network', 'ipc', 'user', 'pid', 'time'] as const) expect(one.ns(type)).toBe(ofHost(type));
    const renamed = runBundle((config) => {
      setNamespace(config, 'uts', '/proc/self/ns/uts');
      config.hostname = 'mine';
    });
    await expect(renamed).rejects.toThrow(/would change the host/);
  });
});

describe('the mount namespace', () => {
  it('of the runtime is inherited where none is named, and all mounts go with the container', async () => {
    {
      await using one = await runBundle((config) => {
        dropNamespace(config, 'mount');
        config.process.args = ['sh', '-c', 'cat /proc/1/comm; ls /; exec sleep 1000'];
      });
      await until(() => one.output().includes('var'));
      expect(one.ns('mount')).toBe(ofHost('mount'));
      expect(one.output()).toMatch(/^sh\nbin\ndev\n/);
      const here = new RegExp(` ${one.folder}/rootfs/`);
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toMatch(here);
      expect(readlinkSync(`/proc/${one.pid}/root`)).toBe(`${one.folder}/state/.roots/${one.container.id}`);
      expect(await execIn(one, 'readlink /proc/self/ns/pid; ls -d /bin')).toMatch(/^pid:\[\d+\]\n\/bin\n/);
    }
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`.roots/bundle-${process.pid}-`);
  });

  it('of the runtime leaves nothing behind when the creation fails', async () => {
    const failing = runBundle((config) => {
      dropNamespace(config, 'mount');
      config.process.args = ['/no/such/program'];
    });
    await expect(failing).rejects.toThrow('/no/such/program');
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`.roots/bundle-${process.pid}-`);
  });

  it('that is joined by path gets the container’s root as its own', async () => {
    const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', 'echo ready; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      const pid = holder.pid as number;
      await using one = await runBundle((config) => setNamespace(config, 'mount', path(pid, 'mount')));
      expect(one.ns('mount')).toBe(namespaceOf(pid, 'mount'));
      expect(one.ns('mount')).not.toBe(ofHost('mount'));
      expect(readlinkSync(`/proc/${one.pid}/root`)).toBe('/');
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('of the runtime cannot be had with another user namespace', async () => {
    const refused = runBundle((config) => {
      dropNamespace(config, 'mount');
      withUsers(config);
    });
    await expect(refused).rejects.toThrow('has a user namespace and no mount namespace');
  });
});
