/** `tare-oci spec` and `tare-oci features`, as they are called. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probeFeatures } from '../../../runtime/kernel/features.js';
import { loadBundle } from '../../../runtime/oci/index.js';
import { publicCopy } from '../../harness/public-copy.js';
import { makeRootfs } from '../../harness/rootfs.js';
import { inWorld, type World } from '../../harness/world.js';

function bundleIn(world: World): string {
  const bundle = join(world.folder, 'bundle');
  mkdirSync(bundle);
  return bundle;
}

describe('tare-oci spec', () => {
  it('writes a bundle that runs', () =>
    inWorld('spec', async (world) => {
      const bundle = bundleIn(world);
      makeRootfs(join(bundle, 'rootfs'));
      expect(await world.run(['sh', '-c', `cd ${bundle} && tare-oci spec`])).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
      const path = join(bundle, 'config.json');
      expect(readFileSync(path, 'utf8')).toMatch(/^\{\n\t"ociVersion": "1\.\d+\.\d+",\n/);
      const { process, ...config } = loadBundle(bundle).config;
      expect(process?.terminal).toBe(true);
      const args = ['sh', '-c', 'id -u; hostname; pwd; echo $PATH; touch /x 2>/dev/null || echo read-only'];
      writeFileSync(path, JSON.stringify({ ...config, process: { ...process, terminal: false, args } }));
      expect(await world.run(['tare-oci', 'run', '--bundle', bundle, 'c1'])).toEqual({
        status: 0,
        stdout: '0\ntare\n/\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nread-only\n',
        stderr: '',
      });
    }));

  it('leaves a config.json that is there as it is, and does not write through a link', () =>
    inWorld('spec-there', async (world) => {
      const bundle = bundleIn(world);
      const path = join(bundle, 'config.json');
      writeFileSync(path, 'mine');
      const there = await world.run(['tare-oci', 'spec', '--bundle', bundle]);
      expect(there).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringContaining(`${path} exists. Remove it first`),
      });
      expect(readFileSync(path, 'utf8')).toBe('mine');

      const linked = join(bundle, 'linked');
      mkdirSync(linked);
      symlinkSync('target', join(linked, 'config.json'));
      expect(await world.run(['tare-oci', 'spec', '-b', linked])).toMatchObject({ status: 1 });
      expect(existsSync(join(linked, 'target'))).toBe(false);
      expect(lstatSync(join(linked, 'config.json')).isSymbolicLink()).toBe(true);
    }));

  it.each(['nowhere', 'file/below'])('says that %s is no folder', (name) =>
    inWorld('spec-nowhere', async (world) => {
      writeFileSync(join(world.folder, 'file'), '');
      const ran = await world.run(['tare-oci', 'spec', '--bundle', join(world.folder, name)]);
      expect(ran).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringContaining('config.json cannot be written'),
      });
    }),
  );

  it('--rootless writes one that runs without root', async (context) => {
    if (!probeFeatures().userNamespaces) context.skip('this machine lets nobody make a user namespace');
    using copy = publicCopy();
    await inWorld('spec-rootless', async (world) => {
      const bundle = bundleIn(world);
      makeRootfs(join(bundle, 'rootfs'));
      const state = join(world.folder, 'own');
      mkdirSync(state, { mode: 0o700 });
      chmodSync(world.folder, 0o755);
      execFileSync('chown', ['-R', '12345:12345', bundle, state]);
      const as = (...words: string[]) =>
        world.run(
          [
            'setpriv',
            '--reuid=12345',
            '--regid=12345',
            '--clear-groups',
            process.execPath,
            `${copy.tare}-oci`,
            ...words,
          ],
          {
            env: { TARE_STATE: state },
          },
        );
      expect(await as('spec', '--rootless', '--bundle', bundle)).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
      const { process: example, ...config } = loadBundle(bundle).config;
      expect(config.linux?.uidMappings).toEqual([{ containerID: 0, hostID: 12345, size: 1 }]);
      const args = ['sh', '-c', 'id -u; test -d /sys/class && echo sys'];
      writeFileSync(
        join(bundle, 'config.json'),
        JSON.stringify({ ...config, process: { ...example, terminal: false, args } }),
      );
      expect(await as('run', '--bundle', bundle, 'c1')).toEqual({
        status: 0,
        stdout: '0\nsys\n',
        stderr: '',
      });
    });
  });
});

describe('tare-oci features', () => {
  it('prints JSON', () =>
    inWorld('features', async (world) => {
      const ran = await world.run(['tare-oci', 'features']);
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(JSON.parse(ran.stdout)).toMatchObject({ ociVersionMin: '1.0.0', linux: { seccomp: { enabled: true } } });
    }));
});
