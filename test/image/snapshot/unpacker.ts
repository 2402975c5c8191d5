/** Unpacks an image of a store: `program ROOT NAME`. Says "unpacked CHAIN-ID", and what was told meanwhile, a line each. */
import { loadImage } from '../../../runtime/image/image.js';
import { openSnapshots } from '../../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../../runtime/image/store/index.js';

const [root, name] = process.argv.slice(2) as [string, string];
const store = await ImageStore.open(root);
try {
  using lease = store.lease();
  console.log('begins');
  const onProgress = ({ id, action }: { id: string; action: string }) => console.log(`${id} ${action}`);
  console.log(`unpacked ${await openSnapshots(store).unpack(loadImage(store, name), lease, { onProgress })}`);
} finally {
  store.close();
}
