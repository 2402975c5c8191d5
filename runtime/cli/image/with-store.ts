/** The image store, open for as long as a command works with it. */
import { join } from 'node:path';
import { ImageStore } from '../../image/store/index.js';
import { dataRoot } from '../../kernel/places.js';

export async function withStore<T>(work: (store: ImageStore) => T | Promise<T>): Promise<T> {
  using store = await ImageStore.open();
  return await work(store);
}

/** Where the folders of containers lie. */
export function containersFolder(): string {
  return join(dataRoot(), 'containers');
}
