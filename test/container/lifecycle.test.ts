/** `import { Container } from 'tare/container'`: a container as a library makes it. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Container, type CreateOptions, defaultConfig } from '../../runtime/container/index.js';
import { type FeatureName, probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { makeRootfs, noRootfs } from '../harness/rootfs.js';

const missing = process.geteuid?.() === 0 ? noRootfs() : 'a container without a user namespace needs root';

if (missing !== undefined) it('a container', (context) => context.skip(missing));
else
  describe('a container', () => {
    let folder: string;
    let rootfs: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'tare-life-'));
      rootfs = makeRootfs(join(folder, 'rootfs'));
    });
    afterAll(async () => {
      for (const container of Container.list(join(folder, 'state'))) await container.delete({ force: true });
      rmSync(folder, { recursive: true });
    });

    let count = 0;
    const options = (args: string[], change: Partial<CreateOptions> = {}): CreateOptions => ({
      id: `life-${process.pid}-${count++}`,
      bundle: { path: folder, rootfs, config: defaultConfig({ rootfs, args, caller: { uid: 0, gid: 0 } }) },
      stateRoot: join(folder, 'state'),
      ...change,
    });
    const cgroupsOf = (id: string) =>
      readdirSync('/sys/fs/cgroup').filter((name) => existsSync(`/sys/fs/cgroup/${name}/tare/${id}`));

    it('is created, started, waited for and deleted', async () => {
      const container = await Container.create(options(['sh', '-c', 'exit 3']));
      expect(container.state()).toMatchObject({
        id: container.id,
        status: 'created',
        pid: expect.any(Number),
        bundle: folder,
      });
      await container.start();
      expect(await container.wait()).toEqual({ code: 3 });
      expect(container.state().status).toBe('stopped');
      expect(container.state()).not.toHaveProperty('pid');
      await container.delete();
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
      expect(cgroupsOf(container.id)).toEqual([]);
      expect(() => container.state()).toThrow(expect.objectContaining({ code: 'not-found' }));
    });

    it('of a caller who reaps is started through its socket, once, and tells what failed', async () => {
      const caller = { supervisor: 'caller' } as const;
      const container = await Container.create(options(['sleep', '1000'], caller));
      const other = Container.open(container.id, join(folder, 'state'));
      expect(other.state().status).toBe('created');
      await expect(other.delete()).rejects.toMatchObject({ code: 'state' });
      await other.start();
      expect(other.state().status).toBe('running');
      await expect(other.start()).rejects.toMatchObject({ code: 'state' });
      await other.delete({ force: true });
      expect(cgroupsOf(container.id)).toEqual([]);

      const missing = options(['nowhere'], caller);
      await expect(Container.create(missing)).rejects.toMatchObject({ code: 'command-not-found' });
      writeFileSync(join(rootfs, 'garbage'), 'garbage', { mode: 0o755 });
      const garbage = await Container.create(options(['/garbage'], caller));
      const starting = Container.open(garbage.id, join(folder, 'state')).start();
      await expect(starting).rejects.toMatchObject({
        code: 'command-not-executable',
        syscall: { name: 'execve', errno: 'ENOEXEC' },
      });
      expect(garbage.state().status).toBe('stopped');
      await garbage.delete();
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
    });

    it('without a program is created, and never started', async () => {
      const wanted = options([], { supervisor: 'caller' });
      const { process: _, ...config } = wanted.bundle.config;
      const bundle = { ...wanted.bundle, config };
      await expect(Container.run({ ...wanted, bundle })).rejects.toMatchObject({ code: 'config', path: 'process' });
      const container = await Container.create({ ...wanted, bundle });
      await expect(container.start()).rejects.toMatchObject({ code: 'config', path: 'process' });
      expect(container.state().status).toBe('created');
      await container.delete({ force: true });
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
    });

    it('is found by another, who waits for it and reads how it ended', async () => {
      const container = await Container.create(options(['sleep', '1000']));
      await container.start();
      const other = Container.open(container.id, join(folder, 'state'));
      expect(other.state()).toEqual(container.state());
      expect(Container.list(join(folder, 'state')).map(({ id }) => id)).toEqual([container.id]);
      const ended = other.wait();
      other.kill(9);
      expect(await ended).toEqual({ code: 137, signal: 9 });
      expect(await container.wait()).toEqual({ code: 137, signal: 9 });
      expect(() => other.kill(9)).toThrow(expect.objectContaining({ code: 'state' }));
      await other.delete();
      await expect(container.delete()).rejects.toMatchObject({ code: 'not-found' });
    });

    it('outlives the run of its plan when it is detached', async () => {
      const container = await Container.create(
        options(['sh', '-c', 'until [ -e /tmp/detached ]; do sleep 0.05; done; exit 5']),
      );
      await container.start();
      container.detach();
      writeFileSync(join(rootfs, 'tmp/detached'), '');
      const other = Container.open(container.id, join(folder, 'state'));
      expect(await other.wait()).toEqual({ code: 5 });
      await other.delete();
    });

    it('is not deleted while it runs, unless by force', async () => {
      const container = await Container.create(options(['sleep', '1000']));
      await container.start();
      await expect(container.start()).rejects.toMatchObject({ code: 'state' });
      await expect(container.delete()).rejects.toMatchObject({ code: 'state' });
      await container.delete({ force: true });
      expect(cgroupsOf(container.id)).toEqual([]);
      expect(await container.wait()).toEqual({ code: 137, signal: 9 });
    });

    it('that was never started is deleted, and nobody else can start it', async () => {
      const container = await Container.create(options(['true']));
      await expect(Container.open(container.id, join(folder, 'state')).start()).rejects.toMatchObject({
        code: 'state',
      });
      await container.delete();
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
      expect(cgroupsOf(container.id)).toEqual([]);
    });

    it('that cannot be created leaves nothing', async () => {
      const bundle = options(['true']).bundle;
      const config = {
        ...bundle.config,
        mounts: [...(bundle.config.mounts ?? []), { destination: '/x', type: 'nosuchfs' }],
      };
      const failing = options(['true'], { bundle: { ...bundle, config } });
      await expect(Container.create(failing)).rejects.toMatchObject({ code: 'plan', path: 'mounts[7]' });
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
      expect(cgroupsOf(failing.id)).toEqual([]);
    });

    it('whose command is not there is not created', async () => {
      const wanted = options(['nope']);
      await expect(Container.create(wanted)).rejects.toMatchObject({ code: 'command-not-found', exitCode: 127 });
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
      expect(cgroupsOf(wanted.id)).toEqual([]);
    });

    it('has an id of its own', async () => {
      const container = await Container.create(options(['true']));
      await expect(Container.create(options(['true'], { id: container.id }))).rejects.toMatchObject({ code: 'exists' });
      expect(container.state().status).toBe('created');
      await container.delete();
    });

    it.each<[string, FeatureName[]]>([
      ['without mount_setattr', ['mountSetattr']],
      ['without CLONE_INTO_CGROUP', ['cloneIntoCgroup']],
      ['without either', ['mountSetattr', 'cloneIntoCgroup']],
    ])('is as well confined by a kernel %s', async (_, names) => {
      const script = `(touch /x || mkdir /proc/sys/x || echo 1 > /proc/sys/kernel/panic || mkdir /sys/fs/cgroup/x) 2>/dev/null && exit 1
      test "$(cut -d: -f3 /proc/self/cgroup | sort -u)" = / || exit 2
      test "$(wc -c < /proc/timer_list)" = 0 || exit 3; exit 42`;
      const { bundle } = options(['sh', '-c', script]);
      const config = { ...bundle.config, root: { path: rootfs, readonly: true } };
      const features = withoutFeatures(probeFeatures(), ...names);
      const container = await Container.create(options([], { bundle: { ...bundle, config }, features }));
      await container.start();
      expect(await container.wait()).toEqual({ code: 42 });
      await container.delete();
    });

    it('is created and started in one go, and leaves nothing when that fails', async () => {
      const container = await Container.run(
        options(['sh', '-c', 'until [ -e /tmp/seen ]; do sleep 0.05; done; exit 7']),
      );
      expect(container.state().status).toBe('running');
      writeFileSync(join(rootfs, 'tmp/seen'), '');
      expect(await container.wait()).toEqual({ code: 7 });
      await container.delete();
      await expect(Container.run(options(['nope']))).rejects.toMatchObject({ code: 'command-not-found' });
      const quick = await Container.run(options(['true']));
      expect(await quick.wait()).toEqual({ code: 0 });
      await quick.delete();
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
    });

    it('is one of many at once', async () => {
      const codes = await Promise.all(
        [1, 2, 3, 4].map(async (code) => {
          const container = await Container.create(options(['sh', '-c', `exit ${code}`]));
          await container.start();
          const { code: ended } = await container.wait();
          await container.delete();
          return ended;
        }),
      );
      expect(codes).toEqual([1, 2, 3, 4]);
      expect(readdirSync(join(folder, 'state'))).toEqual([]);
    });
  });
