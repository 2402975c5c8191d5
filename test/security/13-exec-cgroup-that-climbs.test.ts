/** Attack 13: `exec --cgroup` with a path that leads out of the container's cgroup, past its limits. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exampleConfig } from '../../runtime/container/example-config.js';
import { type CgroupPlace, detectCgroups, subCgroup } from '../../runtime/kernel/cgroup/index.js';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld, type World } from '../harness/world.js';

const CLIMBING = ['..', '/..', '../..', 'inner/../..', '/inner/../../other', './..', 'inner/..'];

async function withContainer(
  name: string,
  test: (world: World, places: readonly CgroupPlace[]) => Promise<void>,
): Promise<void> {
  await inWorld(name, async (world) => {
    const bundle = join(world.folder, 'bundle');
    makeRootfs(join(bundle, 'rootfs'));
    const { process, linux, ...config } = exampleConfig();
    const cgroupsPath = `${world.cgroup}/box`;
    const changed = {
      ...config,
      process: { ...process, terminal: false, args: ['sleep', '1000'] },
      linux: { ...linux, cgroupsPath },
    };
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(changed));
    const ran = await world.run(['sh', '-c', `tare-oci run --detach --bundle ${bundle} box > /dev/null 2>&1`]);
    expect(ran.status).toBe(0);
    try {
      const places = detectCgroups().hierarchies.map((one) => ({
        ...one,
        directory: join(one.mountPoint, cgroupsPath),
      }));
      await test(world, places);
    } finally {
      await world.run(['tare-oci', 'delete', '--force', 'box']);
    }
  });
}

describe('a path with ..', () => {
  it('leads out when it is joined to the container’s cgroup', () =>
    withContainer('attack13-exec-naive', async (_, places) => {
      const joined = places.map(({ directory }) => join(directory, '..'));
      expect(joined.every((directory) => existsSync(join(directory, 'cgroup.procs')))).toBe(true);
      expect(joined).not.toContain(places[0]?.directory);
    }));

  it('is refused, and nothing runs', () =>
    withContainer('attack13-exec', async (world, places) => {
      const first = places.find(({ version }) => version === 1)?.controllers[0];
      const arguments_ = first === undefined ? CLIMBING : [...CLIMBING, ...CLIMBING.map((path) => `${first}:${path}`)];
      for (const path of arguments_) {
        expect(() => subCgroup(places, path), path).toThrow('bad sub cgroup path');
        if (!['..', 'inner/../..', `${first}:..`].includes(path)) continue;
        const ran = await world.run(['tare-oci', 'exec', '--cgroup', path, 'box', 'sh', '-c', 'echo runs; sleep 1000']);
        expect(ran.status).not.toBe(0);
        expect(ran.stdout).toBe('');
        expect(ran.stderr).toContain('bad sub cgroup path');
      }
    }));

  it('is not needed to join what is below, or the container’s own', () =>
    withContainer('attack13-exec-fine', async (world, places) => {
      for (const { directory } of places) {
        mkdirSync(join(directory, 'inner'));
        // Nothing can enter an empty set of processors.
        for (const file of ['cpuset.cpus', 'cpuset.mems'])
          if (existsSync(join(directory, file)))
            writeFileSync(join(directory, 'inner', file), readFileSync(join(directory, file)));
      }
      const exec = (...words: readonly string[]) =>
        world.run(['tare-oci', 'exec', ...words, 'box', 'cat', '/proc/self/cgroup']);
      const own = `${world.cgroup}/box`;
      const ends = (stdout: string) => [
        ...new Set(
          stdout
            .trim()
            .split('\n')
            .map((line) => line.replace(/^.*:/, '')),
        ),
      ];
      expect(ends((await exec('--cgroup', '/inner')).stdout)).toEqual([`${own}/inner`]);
      expect(ends((await exec('--cgroup', '/')).stdout)).toEqual([own]);
      // An absolute path is one below the container's: that of another is none.
      expect((await exec('--cgroup', world.cgroup)).stderr).toContain('no such file or directory');
      for (const { directory } of places) rmdirSync(join(directory, 'inner'));
      expect(readFileSync('/proc/self/cgroup', 'utf8')).not.toContain(own);
    }));
});
