/** `tare-oci --systemd-cgroup`, beside a real systemd that is process 1 of namespaces of its own, and on a machine that has none. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { exampleConfig } from '../../runtime/container/example-config.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { makeRootfs } from '../harness/rootfs.js';
import { noSystemd, type Systemd, withSystemd } from '../harness/systemd.js';
import { inWorld } from '../harness/world.js';

const TARE = join(packageRoot(), 'dist/bin/tare-oci');

/** Arguments of `tare-oci` for a bundle whose container has this cgroupsPath. */
function bundleIn(folder: string, cgroupsPath: string | undefined, args: readonly string[]): string {
  if (!existsSync(join(folder, 'rootfs'))) makeRootfs(join(folder, 'rootfs'));
  const { process: of, linux, ...config } = exampleConfig();
  const changed = {
    ...config,
    annotations: { 'org.systemd.property.TimeoutStopSec': '7' },
    root: { path: 'rootfs' },
    process: { ...of, terminal: false, args },
    linux: {
      ...linux,
      cgroupsPath,
      resources: { ...linux?.resources, hugepageLimits: [{ pageSize: '2MB', limit: 0 }] },
    },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(changed));
  return folder;
}

const tare = (systemd: Systemd, ...words: readonly string[]) =>
  systemd.run([process.execPath, TARE, '--root', join(systemd.folder, 'state'), '--systemd-cgroup', ...words]);

const property = async (systemd: Systemd, unit: string, name: string) =>
  (await systemd.run(['systemctl', 'show', '--property', name, '--value', unit])).stdout.trim();

describe('beside systemd', () => {
  beforeEach((ctx) => {
    const why = noSystemd();
    if (why) ctx.skip(why);
  });

  it('a container is a delegated scope, in its slice, and nothing is left of it', () =>
    withSystemd(async (systemd) => {
      const bundle = bundleIn(systemd.folder, 'a-b.slice:tare:box', ['sleep', '1000']);
      // What it starts keeps its output: it must not be ours to wait for.
      const words = [TARE, '--root', join(systemd.folder, 'state'), '--systemd-cgroup', 'create', '--bundle', bundle];
      const script = 'out=$1; shift; "$@" > $out 2>&1';
      const pidFile = join(systemd.folder, 'pid');
      const out = join(systemd.folder, 'out');
      const argv = [out, process.execPath, ...words, '--pid-file', pidFile, 'c1'];
      const { status } = await systemd.run(['sh', '-c', script, 'sh', ...argv]);
      expect([status, readFileSync(out, 'utf8')]).toEqual([0, '']);
      expect((await tare(systemd, 'start', 'c1')).stderr).toBe('');
      const scope = '/a.slice/a-b.slice/tare-box.scope';
      expect(await property(systemd, 'tare-box.scope', 'ControlGroup')).toBe(scope);
      expect(await property(systemd, 'tare-box.scope', 'Delegate')).toBe('yes');
      expect(await property(systemd, 'tare-box.scope', 'ActiveState')).toBe('active');
      expect(await property(systemd, 'tare-box.scope', 'TimeoutStopUSec')).toBe('7s');
      const { stdout } = await systemd.run([
        'sh',
        '-c',
        `cat /proc/$(cat ${systemd.folder}/pid)/cgroup; cat /sys/fs/cgroup${scope}/hugetlb.2MB.max`,
      ]);
      expect(stdout.split('\n').slice(-3)).toEqual([`0::${scope}`, '0', '']);
      // Who joins it later, and who is counted.
      expect((await tare(systemd, 'exec', 'c1', 'cat', '/proc/self/cgroup')).stdout).toContain(`0::${scope}\n`);
      expect((await tare(systemd, 'ps', '--format', 'json', 'c1')).stdout.trim()).toMatch(/^\[\d+\]$/);
      // What it is told later, systemd must know, or it would write the old value again when it is reloaded.
      const change = join(systemd.folder, 'change.json');
      const limit = 2 << 20;
      writeFileSync(change, JSON.stringify({ hugepageLimits: [{ pageSize: '2MB', limit }] }));
      expect((await tare(systemd, 'update', '--resources', change, 'c1')).stderr).toBe('');
      const changed = await systemd.run(['cat', `/sys/fs/cgroup${scope}/hugetlb.2MB.max`]);
      expect(changed.stdout).toBe(`${limit}\n`);
      const scopes = JSON.stringify(join(packageRoot(), 'dist/runtime/kernel/systemd/scope.js'));
      const tell = `import(${scopes}).then((s) => s.changeScope({ unit: 'tare-box.scope', uid: 0 }, { pids: { limit: 7 } }, 2))`;
      expect((await systemd.run([process.execPath, '-e', tell])).stderr).toBe('');
      expect(await property(systemd, 'tare-box.scope', 'TasksMax')).toBe('7');
      expect((await tare(systemd, 'delete', '--force', 'c1')).stderr).toBe('');
      expect(await property(systemd, 'tare-box.scope', 'LoadState')).toBe('not-found');
      expect(existsSync(join(systemd.cgroup, scope))).toBe(false);
    }));

  it('without a path it is named by its id; a form of another kind is refused', () =>
    withSystemd(async (systemd) => {
      const bundle = bundleIn(systemd.folder, undefined, ['cat', '/proc/self/cgroup']);
      const ran = await tare(systemd, 'run', '--bundle', bundle, 'c2');
      expect([ran.status, ran.stdout, ran.stderr]).toEqual([
        0,
        expect.stringMatching(/^0::\/system.slice\/tare-c2.scope$/m),
        '',
      ]);
      expect((await systemd.run(['systemctl', 'list-units', '--all', '--no-legend', 'tare-*'])).stdout).toBe('');
      bundleIn(systemd.folder, '/docker/1234', ['true']);
      const refused = await tare(systemd, 'run', '--bundle', bundle, 'c3');
      expect(refused.status).not.toBe(0);
      expect(refused.stderr).toContain(
        'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/docker/1234" instead',
      );
    }));

  it('a program that is not there leaves no scope behind', () =>
    withSystemd(async (systemd) => {
      const bundle = bundleIn(systemd.folder, 'system.slice:tare:gone', ['/nope']);
      expect((await tare(systemd, 'run', '--bundle', bundle, 'c4')).status).not.toBe(0);
      expect(await property(systemd, 'tare-gone.scope', 'LoadState')).toBe('not-found');
    }));
});

it('without systemd it is refused in one sentence', (ctx) => {
  if (existsSync('/run/systemd/system')) ctx.skip('systemd manages this machine');
  return inWorld('nosystemd', async (world) => {
    const bundle = bundleIn(world.folder, 'system.slice:tare:x', ['true']);
    const ran = await world.run(['tare-oci', '--systemd-cgroup', 'run', '--bundle', bundle, 'c5']);
    expect(ran.status).not.toBe(0);
    expect(ran.stderr).toMatch(
      /^tare-oci: systemd not running on this host, .* there is no \/run\/systemd\/system\b.*\n$/,
    );
  });
});
