/**
 * Snapshots: the layers of images, unpacked, each once and in a folder of its own, however many images and containers use it. A container's tree is an
 * overlay of them with an empty folder on top, so that to make one costs the same whatever the size of the image.
 * layer.md and config.md ("Layer ChainID") of the image specification, Documentation/filesystems/overlayfs.rst of the kernel
 */
import { mkdirSync, renameSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { native } from '../../kernel/addon.js';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { closeAll, OwnedFd } from '../../kernel/fd.js';
import { removeTreeAt } from '../../kernel/tree.js';
import { inFirstUserNamespace } from '../../kernel/user-namespace.js';
import { type Descriptor, type Digest, shortDigest } from '../../oci/image/index.js';
import { type OverlayFlavour, settleLayer } from '../layer/index.js';
import { type ImageStore, storeFailure } from '../store/index.js';
import { SnapshotFolders } from '../store/snapshot-folders.js';
import type { Image, Lease, OnProgress, OverlayFolders, Snapshots, UnpackOptions } from '../types.js';
import { type AppliedBlob, applyBlob } from './apply-blob.js';
import { chainIdOf } from './chain.js';
import { copyRoot } from './copy-root.js';
import { LayerThreads } from './layer-threads.js';
import { Pending } from './pending.js';
import { treeUsage } from './tree-usage.js';
import { type LayerEnd, type LayerTask, layersOf, type Slots, unpackAll } from './unpack.js';

export { chainIdOf, chainIdsOf } from './chain.js';

/** The folders as one tree: see merged.ts. Plans are loaded when the first is needed, as who only looks up snapshots makes none. */
export async function mountOverlay(folders: OverlayFolders): Promise<OwnedFd> {
  return (await import('./merged.js')).mountOverlay(folders);
}

/** The snapshots of a store. */
export function openSnapshots(store: Pick<ImageStore, 'root' | 'content' | 'database'>): Snapshots {
  return new StoreSnapshots(store);
}

class StoreSnapshots implements Snapshots {
  readonly #store: Pick<ImageStore, 'root' | 'content' | 'database'>;
  readonly #folders: SnapshotFolders;
  /** Where what is not finished lies. */
  readonly #unfinished: string;

  constructor(store: Pick<ImageStore, 'root' | 'content' | 'database'>) {
    this.#store = store;
    this.#folders = new SnapshotFolders(store.root, store.database);
    this.#unfinished = join(store.root, 'ingest');
  }

  async unpack(
    image: Pick<Image, 'manifest' | 'config'>,
    lease: Lease,
    options: UnpackOptions = {},
  ): Promise<Digest | undefined> {
    const tasks = layersOf(image);
    // Leased before it is looked for: what is found stays.
    for (const { chainId } of tasks) lease.addSnapshot(chainId);
    using threads = new LayerThreads();
    const apply = (task: LayerTask) => (inThread(task, tasks, options) ? threads.apply.bind(threads) : applyBlob);
    const read = (task: LayerTask, slots: Slots, signal: AbortSignal) =>
      this.#read(task, slots, { ...options, signal }, apply(task));
    await unpackAll(tasks, { read }, options.signal);
    return tasks.at(-1)?.chainId;
  }

  has(chainId: Digest): boolean {
    return this.#folders.find(chainId) !== undefined;
  }

  lower(chainId: Digest | undefined): readonly string[] {
    const folders: string[] = [];
    for (let at: Digest | undefined = chainId; at !== undefined; ) {
      const found = this.#folders.find(at);
      if (!found) throw new TareError('not-found', `the layer ${shortDigest(at)} is not unpacked`);
      const overlay = this.#folders.overlayOf(found.fs);
      if (overlay !== undefined && overlay !== flavour()) throw foreign(at, overlay, this.#store.root);
      folders.push(found.fs);
      at = found.parent;
    }
    return folders;
  }

  usage(chainId: Digest): number {
    const found = this.#folders.find(chainId);
    if (!found) throw new TareError('not-found', `the layer ${shortDigest(chainId)} is not unpacked`);
    return found.size;
  }

  prepare(chainId: Digest | undefined, folder: string): OverlayFolders {
    const [upper, work] = [join(folder, 'upper'), join(folder, 'work')];
    const lower = chainId === undefined ? [join(folder, 'nothing')] : this.lower(chainId);
    try {
      for (const path of [upper, work, ...(chainId === undefined ? lower : [])]) mkdirSync(path, { mode: 0o755 });
      // An overlay's root is that of its upper folder.
      if (chainId !== undefined) copyRoot(lower[0] as string, upper);
    } catch (error) {
      throw storeFailure(error, `${folder} cannot become a container’s folder`);
    }
    return { lower, upper, work };
  }

  async adopt(upper: string, parent: Digest | undefined, diffId: Digest, lease: Lease): Promise<Digest> {
    const chainId = chainIdOf(parent, diffId);
    lease.addSnapshot(chainId);
    if (parent !== undefined && !this.has(parent))
      throw new TareError('not-found', `the layer ${shortDigest(parent)}, below the new one, is not unpacked`);
    try {
      using pending = await Pending.acquire(this.#unfinished, chainId, () => this.has(chainId));
      if (pending) {
        renameSync(upper, join(pending.path, 'fs'));
        this.#publish(pending, { chainId, diffId, parent });
      } else removeTreeAt(upper);
    } catch (error) {
      throw storeFailure(error, `${upper} cannot become the layer ${shortDigest(diffId)}`);
    }
    return chainId;
  }

  async #read(
    task: LayerTask,
    slots: Slots,
    options: Unpacking,
    apply: typeof applyBlob,
  ): Promise<LayerEnd | undefined> {
    const { descriptor, chainId } = task;
    const { onProgress, signal } = options;
    const id = shortDigest(descriptor.digest);
    await options.arrived?.(descriptor);
    const acquired = await Pending.acquire(this.#unfinished, chainId, () => this.has(chainId), {
      signal,
      onWait: () => onProgress?.({ id, action: 'waiting', detail: 'another process unpacks it' }),
    });
    if (!acquired) {
      onProgress?.({ id, action: 'exists', detail: 'unpacked' });
      return undefined;
    }
    try {
      const applied = await slots.with(() => this.#apply(task, acquired, options, apply));
      return {
        finish: () => this.#finish(task, acquired, applied, onProgress),
        [Symbol.dispose]: () => acquired[Symbol.dispose](),
      };
    } catch (error) {
      acquired[Symbol.dispose]();
      throw storeFailure(error, `the layer ${id} cannot be unpacked`);
    }
  }

  async #apply(
    task: LayerTask,
    pending: Pending,
    { onProgress, signal }: Unpacking,
    apply: typeof applyBlob,
  ): Promise<AppliedBlob> {
    signal.throwIfAborted();
    const { descriptor, diffId } = task;
    if (!diffId.startsWith('sha256:'))
      throw new TareError(
        'unsupported',
        `the layer ${shortDigest(descriptor.digest)} has the diff id ${diffId}: Tare knows layers by sha256`,
      );
    native.mkdirat(AT_FDCWD, join(pending.path, 'fs'), 0o755);
    using target = openFolder(join(pending.path, 'fs'));
    const path = this.#store.content.path(descriptor.digest);
    const onBytes = inSteps(descriptor, onProgress);
    const applied = await apply({ path, target: target.fd, overlay: flavour() }, { signal, onBytes });
    if (applied.diffId !== diffId) {
      throw new TareError(
        'protocol',
        `the layer ${shortDigest(descriptor.digest)} is not what the image’s config says: its diff id is ${applied.diffId}, not ${diffId}`,
      );
    }
    return applied;
  }

  /** The layers below are there by now. */
  #finish(task: LayerTask, pending: Pending, applied: AppliedBlob, onProgress: OnProgress | undefined): void {
    const id = shortDigest(task.descriptor.digest);
    const lowers: number[] = [];
    try {
      for (const path of task.parent === undefined ? [] : this.lower(task.parent))
        lowers.push(openFolder(path).release());
      using target = openFolder(join(pending.path, 'fs'));
      settleLayer(applied.unsettled, target.fd, lowers, { overlay: flavour() });
      this.#publish(pending, task, applied.usage);
    } catch (error) {
      throw storeFailure(error, `the layer ${id} cannot be unpacked`);
    } finally {
      closeAll(lowers);
    }
    onProgress?.({ id, action: 'done' });
  }

  #publish(
    pending: Pending,
    { chainId, diffId, parent }: Pick<LayerTask, 'chainId' | 'diffId' | 'parent'>,
    size = treeUsage(AT_FDCWD, join(pending.path, 'fs')),
  ): void {
    const facts = { chainId, diffId, size, overlay: flavour(), ...(parent !== undefined && { parent }) };
    this.#folders.publish(pending.path, facts);
  }
}

/** Of one layer: it ends with the others. */
type Unpacking = UnpackOptions & { readonly signal: AbortSignal };

/** Packed bytes from which a layer is worth a thread: unpacking so many takes several times as long as its start. */
const LARGE = 8 << 20;

/** Where two are at work. While an image is pulled they would take the cores from the download, and wait for the disk beside it. */
function inThread({ descriptor }: LayerTask, all: readonly LayerTask[], { arrived }: UnpackOptions): boolean {
  if (descriptor.size < LARGE || availableParallelism() < 2 || arrived !== undefined) return false;
  return all.filter((other) => other.descriptor.size >= LARGE).length > 1;
}

/** Whose attributes the overlays of this process read: see merged.ts. */
function flavour(): OverlayFlavour {
  return inFirstUserNamespace() ? 'trusted' : 'user';
}

/** Its opaque folders would show what they hide, as nobody reads the attributes that say so. */
function foreign(chainId: Digest, overlay: OverlayFlavour, root: string): TareError {
  const [by, here] = overlay === 'trusted' ? ['outside of', 'in one'] : ['in', 'outside of it'];
  return new TareError(
    'unsupported',
    `the layer ${shortDigest(chainId)} of ${root} was unpacked ${by} a user namespace, and cannot be read ${here}: have two stores, by --root or TARE_ROOT`,
    { path: root },
  );
}

/** At most a hundred times a layer. */
function inSteps({ digest, size }: Descriptor, onProgress: OnProgress | undefined): (current: number) => void {
  let told = 0;
  return (current) => {
    if (!onProgress || current - told < size / 100) return;
    told = current;
    onProgress({ id: shortDigest(digest), action: 'unpacking', current, total: size });
  };
}

function openFolder(path: string): OwnedFd {
  return new OwnedFd(native.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}
