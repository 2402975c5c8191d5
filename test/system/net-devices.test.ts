/** Network devices of this machine that move into a container: veths with names of their own, so that no other device is touched. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { thisCaller } from '../../runtime/container/caller.js';
import { probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { until } from '../harness/until.js';
import { dropNamespace, LINKS, type Mutable, runBundle, setNamespace } from './bundle.js';

const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });

/** A pair of devices of this machine, gone afterwards. */
function withPair(test: (here: string, there: string) => Promise<void>): Promise<void> {
  const id = randomBytes(3).toString('hex');
  const [here, there] = [`ta${id}`, `tb${id}`];
  ip('link', 'add', here, 'address', '02:00:00:00:00:01', 'mtu', '1400', 'type', 'veth', 'peer', 'name', there);
  return test(here, there).finally(() => {
    const has = () => ip('-o', 'link').includes(there);
    try {
      if (has()) ip('link', 'del', there);
    } catch (error) {
      // It goes with the other end, and that with its namespace, just then perhaps.
      if (has()) throw error;
    }
  });
}

interface Address {
  readonly local: string;
  readonly prefixlen: number;
  readonly broadcast?: string;
  readonly scope: string;
}
interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addr_info: readonly Address[];
}

const linksOf = (pid: number) =>
  JSON.parse(execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', '-j', 'address'], { encoding: 'utf8' })) as Link[];

const netDevices = (config: Mutable, devices: Record<string, { name?: string }>) => {
  config.linux.netDevices = devices;
};

describe('linux.netDevices', () => {
  it('moves a device with its new name, its attributes and its lasting addresses, up', () =>
    withPair(async (here, there) => {
      ip('address', 'add', '10.77.0.2/24', 'broadcast', '10.77.0.255', 'dev', here);
      ip('address', 'add', '10.78.0.2', 'peer', '10.78.0.1', 'dev', here);
      ip('address', 'add', 'fd77::2/64', 'dev', here, 'nodad');
      ip('address', 'add', '169.254.7.7/16', 'dev', here, 'scope', 'link');
      ip('address', 'add', 'fd77::3/64', 'dev', here, 'valid_lft', '1000', 'preferred_lft', '1000');
      await using one = await runBundle((config) => netDevices(config, { [here]: { name: 'lan0' } }));
      const link = linksOf(one.pid).find(({ ifname }) => ifname === 'lan0');
      expect(link).toMatchObject({ address: '02:00:00:00:00:01', mtu: 1400 });
      expect(link?.flags).toContain('UP');
      const lasting = link?.addr_info.filter(({ scope }) => scope === 'global');
      expect(lasting?.map(({ local, prefixlen, broadcast }) => [local, prefixlen, broadcast])).toEqual([
        ['10.77.0.2', 24, '10.77.0.255'],
        ['10.78.0.2', 32, undefined],
        ['fd77::2', 64, undefined],
      ]);
      expect(link?.addr_info.map(({ local }) => local)).not.toContain('169.254.7.7');
      expect(ip('-o', 'link')).not.toContain(here);
      expect(ip('-o', 'link')).toContain(there);
    }));

  it('keeps its name without another, takes the first free one of a template, and is gone with the namespace', () =>
    withPair(async (here, there) => {
      {
        await using one = await runBundle((config) => netDevices(config, { [here]: {}, [there]: { name: 'lan%d' } }));
        expect(linksOf(one.pid).map(({ ifname }) => ifname)).toEqual(expect.arrayContaining(['lo', here, 'lan0']));
      }
      await until(() => !ip('-o', 'link').includes(there));
    }));

  it('keeps its index on a kernel that gives no other, and its addresses by that', () =>
    withPair(async (here) => {
      ip('address', 'add', '10.79.0.2/24', 'dev', here);
      const index = Number(ip('-o', 'link', 'show', here).split(':')[0]);
      const features = withoutFeatures(probeFeatures(), 'linkIndex');
      await using one = await runBundle((config) => netDevices(config, { [here]: {} }), {}, { features });
      const link = linksOf(one.pid).find(({ ifindex }) => ifindex === index);
      expect(link?.addr_info.map(({ local }) => local)).toContain('10.79.0.2');
    }));

  it('is for root alone', () =>
    withPair(async (here) => {
      const caller = { ...thisCaller(), uid: 1000, gid: 1000 };
      const refused = runBundle(
        (config) => {
          setNamespace(config, 'user');
          config.linux.uidMappings = [{ containerID: 0, hostID: 1000, size: 1 }];
          config.linux.gidMappings = [{ containerID: 0, hostID: 1000, size: 1 }];
          netDevices(config, { [here]: {} });
        },
        {},
        { caller },
      );
      await expect(refused).rejects.toThrow('linux.netDevices: only root may move network devices');
    }));

  it('moves it into a network that is joined, where it stays', () =>
    withPair(async (here) => {
      await using first = await runBundle(() => undefined);
      {
        await using second = await runBundle((config) => {
          setNamespace(config, 'network', `/proc/${first.pid}/ns/${LINKS.network}`);
          netDevices(config, { [here]: { name: 'lan0' } });
        });
        expect(second.ns('network')).toBe(first.ns('network'));
      }
      expect(linksOf(first.pid).map(({ ifname }) => ifname)).toEqual(['lo', 'lan0']);
    }));

  it('fails where the namespace that is joined has a device of that name', () =>
    withPair(async (here, there) => {
      await using first = await runBundle((config) => netDevices(config, { [there]: { name: 'lan0' } }));
      const second = runBundle((config) => {
        setNamespace(config, 'network', `/proc/${first.pid}/ns/${LINKS.network}`);
        netDevices(config, { [here]: { name: 'lan0' } });
      });
      await expect(second).rejects.toThrow(/EEXIST.*linux.netDevices/);
    }));

  it.each<[string, (config: Mutable, here: string) => void, RegExp]>([
    [
      'one that is not there',
      (config) => netDevices(config, { none0: {} }),
      /linux.netDevices\["none0"\] is no network device that is here/,
    ],
    [
      'a name that is taken',
      (config, here) => netDevices(config, { [here]: { name: 'lo' } }),
      /cannot be lo, which every network namespace has/,
    ],
    [
      'the host’s own network',
      (config, here) => {
        dropNamespace(config, 'network');
        netDevices(config, { [here]: {} });
      },
      /needs a network namespace/,
    ],
  ])('is refused with a reason, and the device is where it was: %s', (_, edit, sentence) =>
    withPair(async (here) => {
      await expect(runBundle((config) => edit(config, here))).rejects.toThrow(sentence);
      expect(ip('-o', 'link')).toContain(here);
    }),
  );
});
