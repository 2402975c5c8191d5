/** Base images from Debian packages: what they hold, that they are made once and the same, and what is said when they cannot be made. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { bootstrap, bootstrapHint } from '../../../runtime/image/bootstrap/index.js';
import { loadImage } from '../../../runtime/image/image.js';
import { fullName, parseReference } from '../../../runtime/image/reference.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { DEBIAN, putDebian } from '../../harness/debian.js';
import { until } from '../../harness/until.js';
import { treeOf } from '../interop/unpacked.js';

describe('base images', { timeout: 600_000 }, () => {
  let folder: string;
  let store: ImageStore;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tare-bootstrap-'));
    store = await ImageStore.open(join(folder, 'images'));
  });
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  it('busybox has its applets, users and folders, and runs', async () => {
    const { names, id, made } = await bootstrap(store, 'busybox');
    expect([names.map(fullName), made]).toEqual([['localhost/busybox:latest'], true]);
    expect(loadImage(store, 'localhost/busybox')).toMatchObject({
      id,
      config: { os: 'linux', config: { Cmd: ['sh'] } },
    });
    const tree = await treeOf(store, 'localhost/busybox');
    expect(tree.get('bin/sh')).toMatchObject({ type: 'symlink', target: 'busybox' });
    expect(tree.get('usr/bin/wc')).toMatchObject({ type: 'symlink', target: '../../bin/busybox' });
    expect(tree.get('bin/busybox')).toMatchObject({ mode: 0o755, uid: 0, size: readFileSync('/bin/busybox').length });
    expect(tree.get('tmp')).toMatchObject({ mode: 0o1777 });
    expect(tree.get('etc/shadow')).toMatchObject({ mode: 0o600 });
    const applets = execFileSync('/bin/busybox', ['--list-full'], { encoding: 'utf8' }).trim().split('\n');
    expect(applets.filter((name) => name !== 'linuxrc' && !tree.has(name))).toEqual([]);
  });

  it('is made once, anew when forced, and the same then', async () => {
    const first = await bootstrap(store, 'busybox');
    expect(first.made).toBe(false);
    expect(await bootstrap(store, 'busybox', { force: true })).toEqual({ ...first, made: true });
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1000000000' };
    expect((await bootstrap(store, 'busybox', { force: true, env })).id).not.toBe(first.id);
    expect(loadImage(store, 'localhost/busybox').config.created).toBe('2001-09-09T01:46:40.000Z');
  });

  it('Debian is Debian', async () => {
    await putDebian(store);
    const { config } = loadImage(store, DEBIAN);
    expect(config.config).toMatchObject({ Cmd: ['bash'], Env: [expect.stringContaining('/usr/bin')] });
    const tree = await treeOf(store, DEBIAN);
    expect(tree.get('usr/bin/bash')?.type).toBe('file');
    expect(tree.get('etc/shadow')).toMatchObject({ gid: 42, mode: 0o640 });
    expect(tree.get('usr/bin/passwd')?.mode).toBe(0o4755);
    for (const path of ['etc/resolv.conf', 'etc/hostname', 'usr/share/man/man1']) expect(tree.has(path)).toBe(false);
    expect([...tree.keys()].some((path) => /^usr\/share\/doc\/.*\/copyright$/.test(path))).toBe(true);
  });

  it('says which program is missing', async () => {
    await expect(bootstrap(store, 'busybox', { force: true, program: join(folder, 'no-such') })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('busybox-static'),
    });
    // A shell, and no mmdebstrap.
    const bin = fakeBin({});
    await expect(debianWith(bin)).rejects.toMatchObject({ code: 'not-found', message: 'mmdebstrap is not installed' });
  });

  it.each([
    ['a full disk', 'echo "cannot write: No space left on device" >&2; exit 1', 'no-space'],
    ['a suite that there is not', 'echo "E: The repository does not have a Release file." >&2; exit 1', 'machine'],
    ['what is no archive', 'echo hello', 'protocol'],
  ])('leaves nothing of %s', async (_, script, code) => {
    await expect(debianWith(fakeBin({ mmdebstrap: script }))).rejects.toMatchObject({ code });
    expect(() => loadImage(store, 'localhost/debian:potato')).toThrow('there is no image');
    expect(readdirSync(join(store.root, 'ingest'))).toEqual([]);
  });

  it('ends with what it runs, when it is interrupted', async () => {
    const controller = new AbortController();
    const started = join(folder, 'started');
    const bin = fakeBin({ mmdebstrap: `echo $$ > ${started}; sleep 1000` });
    vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
    const making = bootstrap(store, 'debian', {
      suite: 'potato',
      signal: controller.signal,
      onProgress: () => void until(() => existsSync(started)).then(() => controller.abort(new Error('interrupted'))),
    });
    await expect(making).rejects.toThrow('interrupted');
    expect(readdirSync(join(store.root, 'ingest'))).toEqual([]);
  });

  it.each([
    ['busybox', 'localhost/busybox'],
    ['debian:12', 'localhost/debian'],
    ['localhost/debian', 'localhost/debian'],
    ['example.org/debian', undefined],
    ['someone/busybox', undefined],
    ['alpine', undefined],
  ])('of %s the hint is %s', (name, hint) => {
    expect(bootstrapHint(parseReference(name))).toEqual(hint && expect.stringContaining(hint));
  });

  /** Programs of ours before, or instead of, those of this machine. */
  function fakeBin(programs: Readonly<Record<string, string>>): string {
    const bin = mkdtempSync(join(folder, 'bin-'));
    for (const [name, script] of Object.entries(programs)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    return bin;
  }

  function debianWith(bin: string) {
    const hasMmdebstrap = readdirSync(bin).length > 0;
    if (!hasMmdebstrap)
      for (const name of ['bash', 'sh', 'unshare', 'setpriv', 'mkdir', 'apt-config'])
        execFileSync('ln', ['-s', execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(bin, name)]);
    vi.stubEnv('PATH', hasMmdebstrap ? `${bin}:${process.env.PATH}` : bin);
    return bootstrap(store, 'debian', { suite: 'potato' });
  }
});
