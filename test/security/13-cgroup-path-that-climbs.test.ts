/** Attack 13: a `cgroupsPath` that climbs out of where Tare's cgroups are, into those of others or of the host. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exampleConfig } from '../../runtime/container/example-config.js';
import { checkCgroupPath, detectCgroups } from '../../runtime/kernel/cgroup/index.js';
import { checkConfig } from '../../runtime/oci/index.js';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld, type World } from '../harness/world.js';

const CLIMBING = ['..', '/..', '../x', 'a/../../x', '/a/../..', 'a/b/../../../x', '/./../x', 'x/..'];

/** The directories that a cgroup of this name has, in every hierarchy. */
function places(path: string): string[] {
  return detectCgroups().hierarchies.map(({ mountPoint }) => join(mountPoint, path));
}

function bundleWith(world: World, cgroupsPath: string): string {
  const bundle = join(world.folder, 'bundle');
  const { process, linux, ...config } = exampleConfig();
  writeFileSync(
    join(bundle, 'config.json'),
    JSON.stringify({
      ...config,
      process: { ...process, terminal: false, args: ['cat', '/proc/self/cgroup'] },
      linux: { ...linux, cgroupsPath },
    }),
  );
  return bundle;
}

describe('a cgroupsPath with ..', () => {
  it('leads out when it is joined to a folder', () =>
    inWorld('attack13-naive', async (world) => {
      const [hierarchy] = places('');
      if (hierarchy === undefined) throw new Error('this machine has no cgroups');
      const inner = join(hierarchy, world.cgroup, 'inner');
      mkdirSync(inner);
      mkdirSync(`${inner}/../outside`);
      const outside = join(hierarchy, world.cgroup, 'outside');
      expect(existsSync(outside)).toBe(true);
      rmdirSync(outside);
      rmdirSync(inner);
    }));

  it.each(CLIMBING)('is refused: %s', (path) => {
    const { faults } = checkConfig({ ...exampleConfig(), linux: { cgroupsPath: path } });
    expect(faults).toEqual([{ path: 'linux.cgroupsPath', message: 'must not contain ..' }]);
    expect(() => checkCgroupPath(path)).toThrow(/has a component "\." or "\.\."/);
  });

  it('makes no cgroup, and no container', () =>
    inWorld('attack13', async (world) => {
      mkdirSync(join(world.folder, 'bundle'));
      makeRootfs(join(world.folder, 'bundle/rootfs'));
      for (const path of [`${world.cgroup}/inner/../../${world.cgroup.slice(1)}-out`, `..${world.cgroup}-out`]) {
        const ran = await world.run(['tare-oci', 'run', '--bundle', bundleWith(world, path), 'c13']);
        expect(ran.status).not.toBe(0);
        expect(ran.stdout).toBe('');
        expect(ran.stderr).toContain('linux.cgroupsPath must not contain ..');
      }
      expect(places(`${world.cgroup}-out`).filter((place) => existsSync(place))).toEqual([]);
      expect((await world.run(['tare-oci', 'list', '--quiet'])).stdout).toBe('');
      // The same, without climbing, is where the container then is.
      const ran = await world.run(['tare-oci', 'run', '--bundle', bundleWith(world, `${world.cgroup}/inner`), 'c13']);
      expect(ran).toMatchObject({ status: 0, stdout: expect.stringContaining(`${world.cgroup}/inner`) });
    }));
});
