/** What the tests against a real registry share: a store in a folder of its own, and copying by skopeo. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ImageStore } from '../../../runtime/image/store/index.js';
import type { TestRegistry } from '../../harness/registry.js';

export interface TestStore extends Disposable {
  readonly store: ImageStore;
  readonly folder: string;
}

export async function makeStore(): Promise<TestStore> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-registry-store-'));
  const store = await ImageStore.open(join(folder, 'images'));
  return {
    store,
    folder,
    [Symbol.dispose]: () => {
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Not synchronously: the token server is in this process. */
export async function skopeo(registry: TestRegistry | undefined, ...args: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-registry-skopeo-'));
  try {
    const authFile = join(folder, 'auth.json');
    const auth = registry && Buffer.from(`${registry.user}:${registry.password}`).toString('base64');
    writeFileSync(authFile, JSON.stringify({ auths: registry ? { [registry.host]: { auth } } : {} }));
    const env = { ...process.env, REGISTRY_AUTH_FILE: authFile };
    return (await promisify(execFile)('skopeo', args, { env, timeout: 60_000 })).stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
