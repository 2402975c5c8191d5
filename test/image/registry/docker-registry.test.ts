/** Pulling from Debian's docker-registry what skopeo has pushed there: open, with passwords, with tokens, by TLS; and the way back. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { type PullOptions, pull } from '../../../runtime/image/registry/index.js';
import { busyboxImage, makeLayer, type TestImage, writeLayout } from '../../harness/images.js';
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

  it('says what it has not', async () => {
    await expect(pull(one.store, parseReference(`${registry.host}/team/app:2`), options)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('team/app:2'),
    });
  });
});
