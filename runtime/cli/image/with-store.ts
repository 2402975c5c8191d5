/** The image store, open for as long as a command works with it. */
import { join } from 'node:path';
import { ImageStore } from '../../image/store/index.js';
import { dataRoot } from '../../kernel/places.js';
import { inOwnUserNamespace } from '../own-users.js';

export async function withStore<T>(work: (store: ImageStore) => T | Promise<T>): Promise<T> {
  using store = await ImageStore.open();
  return await work(store);
}

/** As above, for what looks into layers or removes them: their files have the owners that the image says, so who is not root is their own root for it. */
export async function withStoreAsOwnRoot(work: (store: ImageStore) => void | Promise<void>): Promise<void> {
  if (!(await inOwnUserNamespace({ unpacks: false }))) await withStore(work);
}

/** Where the folders of containers lie. */
export function containersFolder(): string {
  return join(dataRoot(), 'containers');
}
