/** Namespaces of a real container in every order that a user namespace makes, and clocks that are set in time. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { until } from '../harness/until.js';
import { hasEnded } from '../stage/stage.js';
import { dropNamespace, type Mutable, runBundle, setNamespace, type Type } from './bundle.js';
import {
  execIn,
  expectOwn,
  expectSame,
  FIRST,
  joining,
  ofHost,
  status,
  TYPES,
  withoutProc,
  withUsers,
} from './joined.js';

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
