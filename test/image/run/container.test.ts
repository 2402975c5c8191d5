/** Containers of an image: what they find, what they leave on the disk and in the store, and nothing else. */
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Container } from '../../../runtime/container/index.js';
import { loadImage } from '../../../runtime/image/image.js';
import { collectFolders, imageContainer, type RunSettings } from '../../../runtime/image/run/index.js';
import { openSnapshots } from '../../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { busyboxImage, makeImage, makeLayer, putImage } from '../../harness/images.js';

const missing = process.geteuid?.() === 0 ? undefined : 'a container without a user namespace needs root';

if (missing !== undefined) it('a container of an image', (context) => context.skip(missing));
else
  describe('a container of an image', () => {
    let folder: string;
    let store: ImageStore;
    let count = 0;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'tare-image-run-'));
      chmodSync(folder, 0o711);
      store = await ImageStore.open(join(folder, 'data/images'));
      const above = makeLayer([
        { path: 'srv/', uid: 1000, gid: 1000, mode: 0o750 },
        { path: 'srv/data', uid: 1000, gid: 2000, mode: 0o640, content: 'of the image\n' },
        { path: 'srv/link', type: 'symlink', target: '/etc/passwd' },
        { path: 'etc/.wh.group' },
        { path: 'bin/.wh.od' },
      ]);
      const config = {
        User: 'user',
        WorkingDir: '/work/here',
        Env: ['PATH=/bin', 'A=b'],
        Entrypoint: ['sh', '-c'],
        Cmd: ['env; id; pwd'],
        Volumes: { '/srv': {}, '/new/volume': {} },
        Labels: { label: 'text' },
      };
      await putImage(store, busyboxImage({ config }, [above]), 'test:1');
      await putImage(store, busyboxImage({}, [above]), 'plain:1');
    });
    afterAll(async () => {
      for (const container of Container.list(join(folder, 'state'))) await container.delete({ force: true });
      store.close();
      rmSync(folder, { recursive: true });
    });

    async function run(
      name: string,
      settings: Partial<RunSettings> = {},
      look?: (container: Container, path: string) => void,
    ) {
      const id = `image-run-${process.pid}-${count++}`;
      const output = openSync(join(folder, 'output'), 'w');
      try {
        using lease = store.lease();
        using made = await imageContainer(store, loadImage(store, name), {
          id,
          lease,
          settings: { caller: { uid: 0, gid: 0 }, ...settings },
          containers: join(folder, 'data/containers'),
        });
        const container = await Container.run({
          id,
          bundle: made.bundle,
          folder: made.folder,
          stateRoot: join(folder, 'state'),
          stdio: [output, output, output],
        });
        const { code } = await container.wait();
        look?.(container, made.folder.path);
        await container.delete({ force: true });
        expect(existsSync(made.folder.path)).toBe(false);
        return { code, output: readFileSync(join(folder, 'output'), 'utf8') };
      } finally {
        closeSync(output);
      }
    }

    it('begins as the image says', async () => {
      const { code, output } = await run('test:1', { hostname: 'box' });
      expect(code).toBe(0);
      expect(output.split('\n').sort()).toEqual([
        '',
        '/work/here',
        'A=b',
        'HOME=/home/user',
        'HOSTNAME=box',
        'PATH=/bin',
        'PWD=/work/here',
        'SHLVL=1',
        'uid=1000(user) gid=1000 groups=1000',
      ]);
    });

    it('begins as it is told instead', async () => {
      const { output } = await run('test:1', { entrypoint: ['id'], command: ['-u'], user: '7:8', cwd: '/tmp' });
      expect(output).toBe('7\n');
    });

    it('has the image’s volumes, which begin with what the image has there and go with it', async () => {
      const script = `stat -c '%u:%g %a %n' /srv /srv/* /new/volume; cat /srv/data; grep -c ' /srv ' /proc/self/mountinfo; echo new > /srv/own`;
      let written = '';
      const { output } = await run('test:1', { command: [script], user: '0' }, (_, path) => {
        written = readFileSync(join(path, 'volumes/1/own'), 'utf8');
        expect(existsSync(join(path, 'upper/srv'))).toBe(false);
      });
      expect(output).toBe(
        '1000:1000 750 /srv\n1000:2000 640 /srv/data\n0:0 777 /srv/link\n0:0 755 /new/volume\nof the image\n1\n',
      );
      expect(written).toBe('new\n');
    });

    it('of a user namespace leaves the image’s own ids on the disk, in its folder and its volumes', async () => {
      const idMappings = [{ containerID: 0, hostID: 400_000, size: 10_000 }];
      const script = `id -u; cat /proc/self/uid_map; echo x > /srv/own; chown 5:6 /srv/own; touch /tmp/mine; stat -c %u:%g /bin/busybox /srv/data /srv/own`;
      const { output } = await run('test:1', { command: [script], user: '0', idMappings }, (_, path) => {
        expect(lstatSync(join(path, 'upper/tmp/mine'))).toMatchObject({ uid: 0, gid: 0 });
        expect(lstatSync(join(path, 'volumes/1/own'))).toMatchObject({ uid: 5, gid: 6 });
      });
      expect(output.replace(/ +/g, ' ')).toBe('0\n 0 400000 10000\n0:0\n1000:2000\n5:6\n');
    });

    it('shares its layers, keeps them, and lets them go', async () => {
      const image = loadImage(store, 'plain:1');
      const snapshots = openSnapshots(store);
      using lease = store.lease();
      const chain = await snapshots.unpack(image, lease);
      const busybox = join(snapshots.lower(chain).at(-1) as string, 'bin/busybox');
      const before = statSync(busybox);
      const { output } = await run(
        'plain:1',
        { command: ['sh', '-c', 'ls /bin/od; ls -d /etc/group; stat -c %i /bin/busybox; rm -r /bin'] },
        (_, path) => {
          const gone = lstatSync(join(path, 'upper/bin'));
          expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0]);
        },
      );
      expect(output).toContain('ls: /bin/od: No such file or directory\nls: /etc/group: No such file or directory\n');
      expect(statSync(busybox)).toMatchObject({ ino: before.ino, size: before.size });
    });

    it('of an image without layers has an empty root, in which what is mounted runs', async () => {
      await putImage(store, makeImage([], { config: { Cmd: ['/nothing'] } }), 'nothing:1');
      await expect(run('nothing:1')).rejects.toMatchObject({ exitCode: 127 });
      const busybox = { destination: '/busybox', type: 'bind', source: '/bin/busybox', options: ['rbind', 'ro'] };
      const command = ['/busybox', 'ls', '/'];
      const idMappings = [{ containerID: 0, hostID: 400_000, size: 10_000 }];
      for (const more of [{}, { idMappings }])
        expect(await run('nothing:1', { command, mounts: [busybox], ...more })).toEqual({
          code: 0,
          output: 'busybox\ndev\nproc\nsys\n',
        });
    });

    it('has its folder removed by whoever finds that its state is gone', async () => {
      const containers = join(folder, 'data/containers');
      mkdirSync(join(containers, 'left.1/upper/a'), { recursive: true });
      const owner = join(containers, 'left.1/owner');
      closeSync(openSync(owner, 'w'));
      expect(await collectFolders(containers)).toBe(1);
      expect(readdirSync(containers)).toEqual([]);
      expect(await collectFolders(join(folder, 'none'))).toBe(0);
    });
  });
