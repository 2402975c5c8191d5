/** Builds in a store of their own: a busybox to begin with, a context of files by name, and what the image then holds. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BuildContext } from '../../runtime/image/build/context/index.js';
import { type BuildEvent, type BuildOptions, type BuildResult, build } from '../../runtime/image/build/index.js';
import { imageOf } from '../../runtime/image/image.js';
import { parseReference } from '../../runtime/image/reference.js';
import { openSnapshots } from '../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import type { Image } from '../../runtime/image/types.js';
import { MEDIA } from '../../runtime/oci/image/index.js';
import { busyboxImage, putImage } from './images.js';

export interface Built extends BuildResult {
  readonly image: Omit<Image, 'reference'>;
  readonly events: readonly BuildEvent[];
  /** The steps that were in the cache, and those that were done, as the Dockerfile has them. */
  readonly cached: readonly string[];
  readonly done: readonly string[];
  /** What programs have printed. */
  readonly output: string;
}

export interface Builder extends AsyncDisposable {
  readonly store: ImageStore;
  readonly folder: string;
  /** Writes files of the context; a name that ends with a slash is a folder. */
  write(files: Readonly<Record<string, string>>): void;
  build(dockerfile: string, options?: Partial<BuildOptions>): Promise<Built>;
  /** A file of an image, wherever in its layers it lies; undefined when it has none there. */
  file(image: Omit<Image, 'reference'>, path: string): Promise<string | undefined>;
}

/** With an image `busybox` in its store. */
export async function makeBuilder(): Promise<Builder> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-build-test-'));
  process.env.TARE_STATE = join(folder, 'state');
  const store = await ImageStore.open(join(folder, 'root/images'));
  await putImage(store, busyboxImage(), 'busybox');
  const contextFolder = join(folder, 'context');
  mkdirSync(contextFolder);
  return {
    store,
    folder,
    write: (files) => {
      for (const [name, text] of Object.entries(files)) {
        const path = join(contextFolder, name);
        mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
        if (!name.endsWith('/')) writeFileSync(path, text);
      }
    },
    build: async (dockerfile, options = {}) => {
      const events: BuildEvent[] = [];
      using context = BuildContext.open(contextFolder);
      const result = await build(store, {
        dockerfile,
        context,
        names: [parseReference('built')],
        pull: 'never',
        onEvent: (event) => events.push(event),
        ...options,
      });
      const texts = (kind: BuildEvent['kind']) =>
        events.flatMap((event) => (event.kind === kind && 'step' in event ? event.step.text : []));
      const output = Buffer.concat(events.flatMap((event) => (event.kind === 'output' ? event.data : []))).toString();
      const target = { mediaType: MEDIA.ociManifest, digest: result.digest, size: result.size };
      const image = imageOf(store, target);
      return { ...result, image, events, cached: texts('cached'), done: texts('done'), output };
    },
    file: async (image, path) => {
      using lease = store.lease();
      const snapshots = openSnapshots(store);
      const chainId = await snapshots.unpack(image, lease);
      for (const lower of snapshots.lower(chainId)) {
        try {
          return await readFile(join(lower, path), 'utf8');
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        }
      }
      return undefined;
    },
    [Symbol.asyncDispose]: async () => {
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
