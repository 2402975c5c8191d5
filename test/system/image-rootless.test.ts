/** Containers of images for a user who is not root: with users lent to them by /etc/subuid, and with none. */
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ImageStore } from '../../runtime/image/store/index.js';
import { probeFeatures } from '../../runtime/kernel/features.js';
import { busyboxImage, makeLayer, putImage } from '../harness/images.js';
import { publicCopy } from '../harness/public-copy.js';
import { until } from '../harness/until.js';
import { makeWorld, type World } from '../harness/world.js';

const UID = 4321;
const FIRST = 700_000;
const copy = publicCopy();
let world: World;
/** Of the user: `data`, `state`. */
let own: string;

beforeAll(async () => {
  world = await makeWorld('image-rootless');
  chmodSync(world.folder, 0o755);
  own = join(world.folder, 'own');
  for (const part of ['', 'data', 'state', 'home']) {
    mkdirSync(join(own, part), { mode: 0o700 });
    // What root makes a store in is root's while it does.
    if (part !== 'data') chownSync(join(own, part), UID, UID);
  }
  // Only in this world: its mount namespace is its own.
  for (const file of ['passwd', 'subuid', 'subgid']) {
    const mine = join(world.folder, file);
    if (existsSync(`/etc/${file}`)) copyFileSync(`/etc/${file}`, mine);
    else writeFileSync(mine, '');
    appendFileSync(
      mine,
      file === 'passwd' ? `tester:x:${UID}:${UID}::${own}/home:/bin/sh\n` : `tester:${FIRST}:65536\n`,
    );
    chmodSync(mine, 0o644);
    await world.run(['sh', '-c', `test -e /etc/${file} || touch /etc/${file}; mount --bind ${mine} /etc/${file}`]);
  }
  {
    using store = await ImageStore.open(join(own, 'data/images'));
    const above = makeLayer([
      { path: 'home/.wh..wh..opq' },
      { path: 'home/other/', uid: 2000, gid: 2000 },
      { path: 'etc/.wh.group' },
      { path: 'srv/data', uid: 1000, gid: 1000, content: 'data\n' },
    ]);
    await putImage(store, busyboxImage({ config: { Volumes: { '/srv': {} } } }, [above]), 'app');
    await putImage(store, busyboxImage(), 'busybox');
  }
  await world.run(['chown', '-R', `${UID}:${UID}`, join(own, 'data')]);
});
afterAll(async () => {
  await world.close();
  copy[Symbol.dispose]();
});

const asUser = (args: readonly string[]) => ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', ...args];
const ENV = () => ({ TARE_ROOT: join(own, 'data'), TARE_STATE: join(own, 'state'), HOME: join(own, 'home') });
const tare = (args: readonly string[]) => world.run(asUser([process.execPath, copy.tare, ...args]), { env: ENV() });

describe('a user who is not root', () => {
  beforeEach((context) => {
    if (!probeFeatures().userNamespaces) context.skip('this machine lets nobody make a user namespace');
  });

  it('unpacks files of several owners, and runs a container over them as its users', async () => {
    const script = `id -u; tr -s ' ' < /proc/self/uid_map; ls /home; ls /etc; cat /srv/data; stat -c '%u:%g' /srv/data /home/other
      touch /new; chown 33:44 /new; rm -r /var; exit 5`;
    const { status, stdout, stderr } = await tare(['run', 'app', 'sh', '-c', script]);
    expect(stderr).not.toContain('warning');
    expect(stdout).toBe(`0\n 0 ${UID} 1\n 1 ${FIRST} 65536\nother\npasswd\ndata\n1000:1000\n2000:2000\n`);
    expect(status).toBe(5);
    const layers = readdirSync(join(own, 'data/images/snapshots')).map((n) =>
      join(own, 'data/images/snapshots', n, 'fs'),
    );
    expect(
      layers
        .map((layer) => join(layer, 'home/other'))
        .filter(existsSync)
        .map((path) => lstatSync(path).uid),
    ).toEqual([FIRST + 1999]);
    expect(readdirSync(join(own, 'data/containers'))).toEqual([]);
    expect(readdirSync(join(own, 'state'))).toEqual([]);
  });

  it('runs it as another user of the image', async () => {
    expect((await tare(['run', '-u', 'user', 'busybox', 'sh', '-c', 'id -un; touch /home/user/x'])).stdout).toBe(
      'user\n',
    );
    const refused = await tare(['run', '--userns', '100000', 'busybox', 'true']);
    expect(refused.stderr).toMatch(/can have no further user namespace in one/);
    expect(refused.status).toBe(125);
  });

  it('enters it from outside, and deletes it with all that its users have written', async () => {
    const running = tare([
      'run',
      '--name',
      'one',
      'busybox',
      'sh',
      '-c',
      'mkdir -m 700 /tmp/d; touch /tmp/d/f; chown -R 55:55 /tmp/d; sleep 1000',
    ]);
    await until(() =>
      readdirSync(join(own, 'data/containers')).some((name) =>
        existsSync(join(own, 'data/containers', name, 'upper/tmp/d')),
      ),
    );
    const ran = await tare(['exec', 'one', '--', 'sh', '-c', 'id -u; ls / | head -1']);
    expect([ran.stderr, ran.stdout]).toEqual(['', '0\nbin\n']);
    const deleted = await tare(['delete', '--force', 'one']);
    expect([deleted.stderr, deleted.status]).toEqual(['', 0]);
    expect((await running).status).toBe(137);
    expect(readdirSync(join(own, 'data/containers'))).toEqual([]);
    expect(readdirSync(join(own, 'state'))).toEqual([]);
  });

  it('without lent users has root alone, and is told so', async () => {
    const none = join(world.folder, 'none');
    writeFileSync(none, '');
    chmodSync(none, 0o644);
    await world.run(['mount', '--bind', none, '/etc/subuid']);
    try {
      const ran = await tare(['run', 'busybox', 'sh', '-c', "id -u; tr -s ' ' < /proc/self/uid_map; touch /x"]);
      expect(ran.stderr).toMatch(/warning: \/etc\/subuid and \/etc\/subgid lend no users to tester/);
      expect(ran.stdout).toBe(`0\n 0 ${UID} 1\n`);
      expect(ran.status).toBe(0);
      const context = join(own, 'alone');
      mkdirSync(context);
      writeFileSync(join(context, 'Dockerfile'), 'FROM busybox\nRUN id -u > /who\nCMD ["cat", "/who"]\n');
      await world.run(['chown', '-R', `${UID}:${UID}`, context]);
      expect((await tare(['build', '-q', '-t', 'alone', context])).stdout).toMatch(/^sha256:/);
      expect((await tare(['run', 'alone'])).stdout).toBe('0\n');
      const debian = await tare(['image', 'bootstrap', 'debian']);
      expect([debian.status, debian.stderr]).toEqual([
        125,
        expect.stringMatching(/^tare: Debian is made by root, or by a user to whom [^\n]*\n$/),
      ]);
      // Only where something is unpacked.
      const removed = await tare(['rmi', 'alone']);
      expect([removed.status, removed.stderr]).toEqual([0, '']);
      const other = await tare(['run', '-u', 'user', 'busybox', 'true']);
      expect(other.stderr).toMatch(/is to run as user 1000 and group 1000, and the only one here is root/);
    } finally {
      await world.run(['umount', '/etc/subuid']);
    }
  });

  it('may be one whom nobody has named in /etc/passwd', async () => {
    const none = join(world.folder, 'nobody');
    writeFileSync(none, 'root:x:0:0::/root:/bin/sh\n');
    chmodSync(none, 0o644);
    await world.run(['mount', '--bind', none, '/etc/passwd']);
    try {
      const env = { HOME: join(own, 'home'), TMPDIR: join(own, 'state') };
      const ran = await world.run(asUser([process.execPath, copy.tare, 'ps']), { env });
      expect([ran.stderr, ran.status]).toEqual(['', 0]);
      const homeless = await world.run(asUser([process.execPath, copy.tare, 'images']), { env: { HOME: '' } });
      expect(homeless.stderr).not.toContain('internal error');
    } finally {
      await world.run(['umount', '/etc/passwd']);
    }
  });

  it('makes Debian, whose files have several owners', async () => {
    const bin = join(world.folder, 'bin');
    mkdirSync(bin, { mode: 0o755 });
    const script = `#!/bin/sh
      set -e; cd "$TMPDIR"; mkdir made; echo x > made/shadow; chown 0:42 made/shadow; tar -C made -c .`;
    writeFileSync(join(bin, 'mmdebstrap'), script, { mode: 0o755 });
    const env = { ...ENV(), PATH: `${bin}:${process.env.PATH}` };
    const made = await world.run(asUser([process.execPath, copy.tare, 'image', 'bootstrap', 'debian']), { env });
    expect([made.status, made.stdout]).toEqual([0, expect.stringMatching(/^localhost\/debian:.*: sha256:/)]);
    const { stdout } = await tare(['image', 'layers', '--tree', 'localhost/debian']);
    expect(stdout).toMatch(/shadow/);
    expect((await tare(['rmi', '-f', 'localhost/debian'])).status).toBe(0);
    expect(readdirSync(join(own, 'data/images/ingest'))).toEqual([]);
  });

  it('builds, lists and removes images, whose layers have files of several owners', async () => {
    const context = join(own, 'context');
    mkdirSync(context);
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM busybox\nRUN echo made > /made && chown 33:44 /made\nCMD ["cat", "/made"]\n',
    );
    await world.run(['chown', '-R', `${UID}:${UID}`, context]);
    const built = await tare(['build', '-t', 'made', context]);
    expect([built.status, built.status === 0 ? '' : built.stderr]).toEqual([0, '']);
    expect((await tare(['run', 'made'])).stdout).toBe('made\n');
    expect((await tare(['images'])).stdout).toMatch(/^made +latest/m);
    expect((await tare(['rmi', 'made'])).status).toBe(0);
    expect((await tare(['image', 'prune', '--all'])).status).toBe(0);
    expect(readdirSync(join(own, 'data/images/snapshots'))).toEqual([]);
  });
});
