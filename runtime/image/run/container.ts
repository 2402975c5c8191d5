/**
 * A container of an image: its bundle, and the folder that it has of its own, `<data root>/containers/<id>.<random>` (what it writes over the image's layers,
 * and the volumes that the image asks for). The folder is made once it is in the container's journal, and the layers are kept by a lease that
 * lasts as long as the container's state, so that nothing of it is left, nor lost, whoever is killed when.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type CreateOptions, homeOf } from '../../container/index.js';
import { TareError } from '../../kernel/error.js';
import { makeFolders } from '../../kernel/files.js';
import { type Bundle, containerId } from '../../oci/index.js';
import { mountOverlay, openSnapshots } from '../snapshot/index.js';
import type { ImageStore } from '../store/index.js';
import type { Image, Lease, OnProgress } from '../types.js';
import { containerConfig, type RunSettings } from './config.js';
import { containersRoot, writeOwner } from './leftover.js';
import { fillVolumes, volumeMount, volumesOf } from './volumes.js';

/** What `Container.create` and `run` are given. It keeps the image's tree open until it is disposed of: when the container is made. */
export interface ImageContainer extends Disposable {
  readonly bundle: Bundle;
  readonly folder: NonNullable<CreateOptions['folder']>;
}

export interface ImageContainerOptions {
  readonly id: string;
  readonly settings: RunSettings;
  /** Keeps the layers until the container does. */
  readonly lease: Lease;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Of all containers' folders; `<data root>/containers` unless told. */
  readonly containers?: string;
  /** In place of the id and something random: a plan that is only printed is the same each time. */
  readonly folderName?: string;
}

/**
 * Unpacks what of the image is not yet unpacked, and puts together what makes a container of it. Nothing of the container is made.
 * @throws TareError as `containerConfig` and `Snapshots.unpack`
 */
export async function imageContainer(
  store: ImageStore,
  image: Image,
  { id, settings, lease, onProgress, signal, containers, folderName }: ImageContainerOptions,
): Promise<ImageContainer> {
  const snapshots = openSnapshots(store);
  const chainId = await snapshots.unpack(image, lease, { onProgress, signal });
  const lower = snapshots.lower(chainId);
  // What lies below a container of an image without layers. Beside the layers, so that its owners are mapped in one with theirs.
  const nothing = join(store.root, 'nothing');
  // Another state root may have a container of this id: what is undone must be this one's.
  const path = join(
    resolve(containers ?? containersRoot()),
    folderName ?? `${containerId(id)}.${randomBytes(4).toString('hex')}`,
  );
  const rootfs = join(path, 'rootfs');
  const volumes = volumesOf(image.config, path, settings.mounts ?? []);
  const root = await mountOverlay({ lower });
  try {
    const mapped = settings.idMappings !== undefined;
    const mounts = [...volumes.map((volume) => volumeMount(volume, mapped)), ...(settings.mounts ?? [])];
    const tree = `/proc/self/fd/${root.fd}`;
    const config = containerConfig(
      image.config,
      { ...settings, hostname: settings.hostname ?? hostnameOf(id), mounts },
      tree,
      rootfs,
    );
    const home = homeOf(tree, config.process?.user.uid ?? 0);
    const bundle = {
      path,
      rootfs,
      home,
      config,
      overlay: {
        lower: chainId === undefined ? [nothing] : lower,
        upper: join(path, 'upper'),
        work: join(path, 'work'),
      },
    };
    let kept: Lease | undefined;
    const fill = async (stateDirectory: string) => {
      makeFolder(path, rootfs);
      writeOwner(path, stateDirectory);
      kept = store.lease(stateDirectory);
      if (chainId !== undefined) kept.addSnapshot(chainId);
      snapshots.prepare(chainId, path);
      if (chainId === undefined) mkdirSync(nothing, { recursive: true, mode: 0o755 });
      await fillVolumes(volumes, root.fd);
      root.close();
    };
    const dispose = () => {
      root.close();
      // It ends here if the container has; else it lasts as long as that.
      kept?.[Symbol.dispose]();
    };
    return { bundle, folder: { path, fill }, [Symbol.dispose]: dispose };
  } catch (error) {
    root.close();
    throw error;
  }
}

/** Docker's: the first twelve characters of the id. */
function hostnameOf(id: string): string {
  return id.slice(0, 12).replace(/[^a-zA-Z0-9.-]/g, '-');
}

function makeFolder(path: string, rootfs: string): void {
  makeFolders(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
    mkdirSync(rootfs, { mode: 0o755 });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const kind = code === 'EEXIST' ? 'exists' : code === 'ENOSPC' || code === 'EDQUOT' ? 'no-space' : 'system-call';
    throw new TareError(kind, `the container’s folder ${path} cannot be made: ${message}`, { cause, path });
  }
}
