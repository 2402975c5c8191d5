/** A container whose root is an overlay of layers: what it sees, what it writes, and what is on the disk and on the host. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Container, type CreateOptions, type DefaultOptions, defaultConfig } from '../../runtime/container/index.js';
import { type Features, probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { type Config, validConfig } from '../../runtime/oci/index.js';
import { makeRootfs } from '../harness/rootfs.js';

interface Layered {
  readonly folder: string;
  readonly upper: string;
  readonly lower: readonly string[];
  run(
    script: string,
    change?: (config: Config) => Config,
    features?: Features,
    options?: Partial<DefaultOptions>,
  ): Promise<{ output: string; code: number }>;
}

let count = 0;

/** A busybox, and over it `layers` layers that have one file each, and the same one anew. */
async function withLayers(layers: number, use: (layered: Layered) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-overlay-'));
  const state = join(folder, 'state');
  const base = makeRootfs(join(folder, 'images/snapshots/1/fs'));
  const lower = [base];
  for (let i = 2; i <= layers; i++) {
    const layer = join(folder, `images/snapshots/${i}/fs`);
    mkdirSync(layer, { recursive: true });
    writeFileSync(join(layer, `of-${i}`), `${i}\n`);
    writeFileSync(join(layer, 'last'), `${i}\n`);
    lower.unshift(layer);
  }
  const own = join(folder, 'containers/one');
  const part = (name: string) => join(own, name);
  const run: Layered['run'] = async (script, change = (config) => config, features = probeFeatures(), options = {}) => {
    for (const name of ['upper', 'work', 'rootfs']) {
      rmSync(part(name), { recursive: true, force: true });
      mkdirSync(part(name), { recursive: true, mode: 0o755 });
    }
    const rootfs = part('rootfs');
    const config = defaultConfig({ rootfs, args: ['sh', '-c', script], caller: { uid: 0, gid: 0 }, ...options });
    const outputs = openSync(join(folder, 'output'), 'w');
    const creation: CreateOptions = {
      id: `overlay-${process.pid}-${count++}`,
      bundle: {
        path: own,
        rootfs,
        config: validConfig(JSON.parse(JSON.stringify(change(config)))),
        overlay: { lower, upper: part('upper'), work: part('work') },
      },
      stateRoot: state,
      features,
      stdio: [outputs, outputs, outputs],
    };
    try {
      const container = await Container.run(creation);
      const ended = await container.wait();
      await container.delete({ force: true });
      return { output: readFileSync(join(folder, 'output'), 'utf8'), code: ended.code };
    } finally {
      closeSync(outputs);
    }
  };
  mkdirSync(state);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  try {
    await use({ folder, upper: part('upper'), lower, run });
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(mounts);
    expect(readdirSync(state)).toEqual([]);
  } finally {
    for (const container of Container.list(state)) await container.delete({ force: true });
    rmSync(folder, { recursive: true });
  }
}

const mapped = (config: Config): Config => ({
  ...config,
  linux: {
    ...config.linux,
    namespaces: [{ type: 'user' }, ...(config.linux?.namespaces ?? [])],
    uidMappings: [{ containerID: 0, hostID: 300_000, size: 1000 }],
    gidMappings: [{ containerID: 0, hostID: 300_000, size: 1000 }],
  },
});

const SCRIPT = `cat /last; ls -d /of-2; echo new > /new; echo more >> /last; rm /of-2; mkdir /tmp/own; chown 7:8 /new
  ls -d /of-2 2>&1; stat -c '%u:%g %n' /bin/busybox /new /tmp/own; grep ' / / ' /proc/self/mountinfo | grep -c overlay`;
const seen = (layers: number) =>
  `${layers}\n/of-2\nls: /of-2: No such file or directory\n0:0 /bin/busybox\n7:8 /new\n0:0 /tmp/own\n1\n`;

/** The upper folder, on the disk: ids are the image's own, whatever the container's are on the host. */
function expectUpper({ upper, lower }: Layered, layers: number): void {
  expect(lstatSync(join(upper, 'new'))).toMatchObject({ uid: 7, gid: 8 });
  expect(lstatSync(join(upper, 'tmp/own'))).toMatchObject({ uid: 0, gid: 0 });
  expect(readFileSync(join(upper, 'last'), 'utf8')).toBe(`${layers}\nmore\n`);
  const gone = lstatSync(join(upper, 'of-2'));
  expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0]);
  expect(readFileSync(join(lower[0] as string, 'last'), 'utf8')).toBe(`${layers}\n`);
  expect(lstatSync(join(lower.at(-1) as string, 'bin/busybox'))).toMatchObject({ uid: 0, gid: 0 });
}

describe.each<[string, (features: Features) => Features]>([
  ['on this kernel', (features) => features],
  ['on one that takes layers as one string', (features) => withoutFeatures(features, 'overlayLayers')],
])('a root of layers, %s', (_, kernel) => {
  const features = kernel(probeFeatures());

  it.each([3, 120])('is one tree of %i layers, and what changes lies in the upper folder', (layers) =>
    withLayers(layers, async (layered) => {
      expect(await layered.run(SCRIPT, undefined, features)).toEqual({ output: seen(layers), code: 0 });
      expectUpper(layered, layers);
    }),
  );

  it.each([3, 120])('of a user namespace has %i layers with the image’s own ids, on the disk as well', (layers) =>
    withLayers(layers, async (layered) => {
      expect(await layered.run(SCRIPT, mapped, features)).toEqual({ output: seen(layers), code: 0 });
      expectUpper(layered, layers);
    }),
  );

  it('can be read-only', () =>
    withLayers(3, async (layered) => {
      const { output } = await layered.run('echo x > /new; cat /last', undefined, features, { readonlyRoot: true });
      expect(output).toBe("sh: can't create /new: Read-only file system\n3\n");
      expect(readdirSync(layered.upper)).not.toContain('new');
      const other = await layered.run('echo x > /new; cat /last', mapped, features, { readonlyRoot: true });
      expect(other.output).toBe(output);
    }));
});

describe('a root of layers', () => {
  it('is refused with a user namespace where owners cannot be mapped, and without a mount namespace', () =>
    withLayers(2, async ({ run }) => {
      const poorer = withoutFeatures(probeFeatures(), 'idmappedLayers');
      await expect(run('true', mapped, poorer)).rejects.toThrow('Linux 5.19 brought layers with mapped owners');
      const shared = (config: Config): Config => ({
        ...config,
        linux: { ...config.linux, namespaces: config.linux?.namespaces?.filter(({ type }) => type !== 'mount') },
      });
      await expect(run('true', shared)).rejects.toThrow('needs a mount namespace of its own');
    }));

  it('is refused where its layers are more than one string takes, and this kernel takes no other', () =>
    withLayers(2, async ({ folder, lower }) => {
      const poorer = withoutFeatures(probeFeatures(), 'overlayLayers');
      const many = Array.from({ length: 490 }, (_, i) => join(folder, `images/snapshots/${1e6 + i}/fs`));
      const rootfs = join(folder, 'empty');
      mkdirSync(rootfs);
      const config = defaultConfig({ rootfs, args: ['true'], caller: { uid: 0, gid: 0 } });
      const bundle = { path: folder, rootfs, config, overlay: { lower: [...many, ...lower] } };
      await expect(
        Container.run({ id: 'overlay-many', bundle, features: poorer, stateRoot: join(folder, 'state') }),
      ).rejects.toThrow(/take \d+ bytes to be named, and this kernel .* takes 4095/);
      const more = { ...bundle, overlay: { lower: [...many, ...many] } };
      await expect(
        Container.run({ id: 'overlay-many', bundle: more, stateRoot: join(folder, 'state') }),
      ).rejects.toThrow('has 980 layers, and the kernel takes 500');
    }));

  it('has no device of the image in a user namespace', () =>
    withLayers(2, async ({ run, lower }) => {
      execFileSync('mknod', ['-m', '666', join(lower[0] as string, 'zero'), 'c', '1', '5']);
      const { output } = await run('head -c 1 /zero', mapped);
      expect(output).toBe('head: /zero: Permission denied\n');
    }));
});
