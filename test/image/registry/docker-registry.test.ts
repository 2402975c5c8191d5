/** Pulling from Debian's docker-registry what skopeo has pushed there: open, with passwords, with tokens, by TLS; and the way back. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { obtainImage } from '../../../runtime/image/obtain.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { listTags, login, logout, type PullOptions, pull, push } from '../../../runtime/image/registry/index.js';
import { busyboxImage, makeLayer, putImage, type TestImage, writeLayout } from '../../harness/images.js';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../../harness/registry.js';
import { makeStore, skopeo, type TestStore } from './real.js';

const KINDS: readonly [string, RegistryOptions][] = [
  ['open to all', {}],
  ['with passwords', { htpasswd: true }],
  ['with tokens', { token: true }],
  ['by TLS, with passwords', { tls: true, htpasswd: true }],
  ['by TLS, with client certificates', { tls: true, clientCertificates: true }],
];

describe.each(KINDS)('a registry %s', (_, kind) => {
  let registry: TestRegistry;
  let image: TestImage;
  let one: TestStore;
  let options: PullOptions;

  beforeAll(async () => {
    registry = await startRegistry(kind);
    one = await makeStore();
    image = busyboxImage({}, [makeLayer([{ path: 'hello', content: 'hello\n' }])]);
    const layout = join(one.folder, 'layout');
    writeLayout(layout, [{ name: 'latest', image }]);
    const target = `docker://${registry.host}/team/app:1`;
    const flags = kind.tls ? ['--dest-cert-dir', registry.certificates] : ['--dest-tls-verify=false'];
    await skopeo(registry, 'copy', '-q', ...flags, `oci:${layout}:latest`, target);
    options = {
      env: { HOME: one.folder },
      ...(kind.tls && { certDir: registry.certificates }),
      ...((kind.htpasswd || kind.token) && {
        credentials: { kind: 'password', username: registry.user, password: registry.password },
      }),
    };
  });
  afterAll(async () => {
    one?.[Symbol.dispose]();
    await registry?.stop();
  });

  it('is pulled from', async () => {
    const reference = parseReference(`${registry.host}/team/app:1`);
    const { target, isUnchanged } = await pull(one.store, reference, options);
    expect(target.digest).toBe(image.manifestDescriptor.digest);
    expect(isUnchanged).toBe(false);
    for (const [digest, data] of image.blobs) expect(one.store.content.read(digest, 1 << 30).equals(data)).toBe(true);
    expect(loadImage(one.store, reference).id).toBe(image.id);
    expect((await pull(one.store, reference, options)).isUnchanged).toBe(true);
  });

  it('is pushed to; skopeo reads it, and another store pulls it', async () => {
    const other = busyboxImage({}, [makeLayer([{ path: 'pushed', content: 'yes\n' }])]);
    const name = `${registry.host}/team/pushed:2`;
    await putImage(one.store, other, name);
    const actions: string[] = [];
    const onProgress = ({ action }: { action: string }) => void actions.push(action);
    const { target } = await push(one.store, parseReference(name), { ...options, onProgress });
    expect(target.digest).toBe(other.manifestDescriptor.digest);
    expect(actions).toContain('uploading');
    // The busybox layer is in team/app already: it is mounted from there, for a pull has seen it.
    expect(actions).toContain('mounted');
    const flags = kind.tls ? ['--cert-dir', registry.certificates] : ['--tls-verify=false'];
    const seen = JSON.parse(await skopeo(registry, 'inspect', ...flags, `docker://${name}`)) as { Digest: string };
    expect(seen.Digest).toBe(target.digest);
    using two = await makeStore();
    using lease = two.store.lease();
    const image = await obtainImage(two.store, name, { ...options, lease });
    expect(image.id).toBe(other.id);
    actions.length = 0;
    await push(one.store, parseReference(name), { ...options, onProgress });
    expect(new Set(actions)).toEqual(new Set(['waiting', 'exists']));
    expect(await listTags(parseReference(name), options)).toEqual(['2']);
  });

  const asks = kind.htpasswd || kind.token;
  (asks ? it : undefined)?.('accepts a login, which is kept for all, and forgotten', async () => {
    const env = { HOME: one.folder };
    const { credentials: _, ...without } = options;
    const wrong = { username: registry.user, password: 'wrong' };
    await expect(login(registry.host, wrong, { ...without, env })).rejects.toMatchObject({ code: 'permission' });
    const file = join(one.folder, '.docker/config.json');
    expect(existsSync(file)).toBe(false);
    await login(registry.host, { username: registry.user, password: registry.password }, { ...without, env });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    // The token server has given a token in place of the password.
    expect(readFileSync(file, 'utf8').includes('identitytoken')).toBe(kind.token === true);
    const name = `${registry.host}/team/logged-in:1`;
    await putImage(one.store, image, name);
    await push(one.store, parseReference(name), { ...without, env });
    expect(await logout(registry.host, env)).toEqual([file]);
    await expect(push(one.store, parseReference(name), { ...without, env })).rejects.toMatchObject({
      code: 'permission',
    });
  });

  it('says what it has not', async () => {
    await expect(pull(one.store, parseReference(`${registry.host}/team/app:2`), options)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('team/app:2'),
    });
  });
});
