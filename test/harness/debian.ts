/**
 * A Debian image for tests, as an OCI archive: made by `tare image bootstrap` the first time that a test asks for it, and then kept with what the
 * set-up makes, for as long as what it is made of stays the same. Of several who ask at once one makes it.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { loadArchive, saveArchive } from '../../runtime/image/archive/index.js';
import { bootstrap } from '../../runtime/image/bootstrap/index.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { makeFolders } from '../../runtime/kernel/files.js';
import { DirectoryLock } from '../../runtime/kernel/lock.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { hostApt } from '../../runtime/vm/image/apt.js';

/** What it is called in the archive. */
export const DEBIAN = 'localhost/debian:latest';

/** mmdebstrap takes a minute or two on a machine that is busy with other tests. */
const PATIENCE_MS = 600_000;

/** The path of the archive. The hooks and tests that call it need `timeout: 600_000`. */
async function debianArchive(): Promise<string> {
  const folder = join(packageRoot(), '.setup', 'images');
  makeFolders(folder);
  const name = `debian-${await key()}.tar`;
  const path = join(folder, name);
  if (existsSync(path)) return path;
  using _lock = await DirectoryLock.acquire(folder, { waitMs: PATIENCE_MS });
  if (existsSync(path)) return path;
  for (const old of readdirSync(folder)) if (old !== 'lock') rmSync(join(folder, old), { recursive: true });
  const work = mkdtempSync(join(folder, 'tmp-'));
  try {
    using store = await ImageStore.open(join(work, 'images'));
    await bootstrap(store, 'debian');
    const file = await open(join(work, name), 'wx');
    try {
      await saveArchive(store, [DEBIAN], 'oci', async (chunk) => {
        await file.writeFile(chunk);
      });
    } finally {
      await file.close();
    }
    await rename(join(work, name), path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

/** Puts it into a store, as `localhost/debian:latest`. */
export async function putDebian(store: ImageStore): Promise<void> {
  await loadArchive(store, createReadStream(await debianArchive()));
}

/** Another recipe, release or mirror makes another image. */
async function key(): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(await hostApt()));
  for (const file of ['debian.ts', 'index.ts'])
    hash.update(readFileSync(join(packageRoot(), 'runtime/image/bootstrap', file)));
  return hash.digest('hex').slice(0, 16);
}
