/** What holds of a cgroup whatever the version: who may make one, which limits make sense, and one that is there already. */
import { describe, expect, it } from 'vitest';
import { type CgroupLimits, sharesToWeight, weightToShares } from '../../../runtime/kernel/cgroup/index.js';
import { failureOf } from '../support.js';
import { fixture, HYBRID, V2 } from './fixtures.js';
import { plan, show } from './planned.js';

describe('who may not write', () => {
  it('gets no cgroup, and is told which limits do not hold', () => {
    const files = fixture(HYBRID, ['/sys/fs/cgroup']);
    const { places, actions, unenforced } = plan(files, '/x', { memory: { limit: 5 } }, 'all');
    expect([places, actions]).toEqual([[], []]);
    expect(unenforced.map(({ field }) => field)).toEqual(['linux.resources.memory.limit']);
  });

  it('gets those that were delegated', () => {
    const files = fixture(HYBRID, ['/sys/fs/cgroup/memory', '/sys/fs/cgroup/cpu', '/sys/fs/cgroup/unified']);
    expect(plan(files, 'x', { pids: { limit: 5 } }).places.map(({ controllers }) => controllers)).toEqual([['pids']]);
  });
});

describe('limits', () => {
  it('of no sense are refused by field', () => {
    const refuse = (limits: CgroupLimits) => failureOf(() => plan(fixture(V2), '/x', limits));
    expect(refuse({ memory: { limit: 100, swap: 50 } })).toMatchObject({
      code: 'config',
      path: 'linux.resources.memory.swap',
    });
    expect(refuse({ memory: { swap: 50 } }).message).toBe(
      'memory.swap counts memory and swap together, so it needs memory.limit',
    );
    expect(refuse({ cpu: { cpus: '0,,1' } })).toMatchObject({ code: 'config', path: 'linux.resources.cpu.cpus' });
    const device = failureOf(() => plan(fixture(HYBRID), '/x', { devices: [{ allow: true, access: 'x' }] }));
    expect(device).toMatchObject({ code: 'config', path: 'linux.resources.devices[0].access' });
  });

  it.each([
    [-1, 'max'],
    [0, '1'],
    [7, '7'],
  ])('of %i processes is written as %s', (limit, value) => {
    expect(plan(fixture(V2), '/x', { pids: { limit } }).actions.map(show)).toContain(
      `/sys/fs/cgroup/x/pids.max=${value}`,
    );
  });

  it.each([
    [2, 1],
    [1024, 100],
    [262144, 10000],
  ])('%i shares are the weight %i: both ends and the defaults meet', (shares, weight) => {
    expect(sharesToWeight(shares)).toBe(weight);
    expect(sharesToWeight(weightToShares(weight))).toBe(weight);
  });

  it('more shares are never less weight', () => {
    let last = 0;
    for (let shares = 2; shares <= 262144; shares = Math.ceil(shares * 1.05)) {
      const weight = sharesToWeight(shares);
      expect(weight).toBeGreaterThanOrEqual(last);
      expect(weight).toBeLessThanOrEqual(10000);
      last = weight;
    }
  });

  describe('a cgroup that is there already', () => {
    const there = (files: Readonly<Record<string, string>>) => fixture({ ...V2, ...files });
    const X = '/sys/fs/cgroup/tare/x';

    it('is taken over when nobody is in it, as engines make it', () => {
      const files = there({ [`${X}/cgroup.procs`]: '', [`${X}/cgroup.events`]: 'populated 0\nfrozen 0\n' });
      const { actions, places } = plan(files, '/tare/x', { pids: { limit: 5 } });
      expect(actions.map(show)).toEqual(['/sys/fs/cgroup/tare/cgroup.subtree_control=+pids', `${X}/pids.max=5`]);
      expect(places.map(({ directory }) => directory)).toEqual([X]);
    });

    it.each([
      ['is not empty, another container or process is in it', { [`${X}/cgroup.procs`]: '12\n' }],
      [
        'is not empty, another container or process is in it',
        { [`${X}/cgroup.procs`]: '', [`${X}/cgroup.events`]: 'populated 1\nfrozen 0\n' },
      ],
      ['unexpectedly frozen', { [`${X}/cgroup.procs`]: '', [`${X}/cgroup.events`]: 'populated 0\nfrozen 1\n' }],
    ])('is refused when it %s', (why, files) => {
      const text = `container's cgroup ${why}: ${X}`;
      expect(failureOf(() => plan(there(files), '/tare/x'))).toMatchObject({ code: 'exists', message: text });
    });

    it('is refused on version 1 by its freezer', () => {
      const files = fixture({ ...HYBRID, '/sys/fs/cgroup/freezer/x/freezer.state': 'FROZEN\n' });
      expect(failureOf(() => plan(files, '/x', {}, 'all')).message).toBe(
        "container's cgroup unexpectedly frozen: /sys/fs/cgroup/freezer/x",
      );
    });

    it('on the way that holds processes can enable nothing for the one below, which is said', () => {
      const parent = '/sys/fs/cgroup/pod';
      const files = there({
        [`${parent}/cgroup.procs`]: '7\n',
        [`${parent}/cgroup.type`]: 'domain\n',
        [`${parent}/cgroup.subtree_control`]: 'pids\n',
      });
      const limits: CgroupLimits = { pids: { limit: 5 }, memory: { limit: 1 << 20 } };
      const { actions, unenforced } = plan(files, '/pod/x', limits, 'all');
      expect(actions.map(show).filter((action) => action.startsWith(`${parent}/cgroup`))).toEqual([]);
      expect(actions.map(show)).toContain('/sys/fs/cgroup/pod/x/pids.max=5');
      expect(unenforced).toMatchObject([
        {
          field: 'linux.resources.memory.limit',
          why: expect.stringContaining('the cgroup /sys/fs/cgroup/pod holds processes itself'),
        },
      ]);
    });
  });
});
