/** Unpacks an image, changes some of it over its layers, and says what is in the layer of that: `program ROOT NAME FOLDER`. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layerOfUpper } from '../../../runtime/image/diff/index.js';
import { loadImage } from '../../../runtime/image/image.js';
import { tarEntries } from '../../../runtime/image/layer/index.js';
import { mountOverlay, openSnapshots } from '../../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../../runtime/image/store/index.js';

const [root, name, folder] = process.argv.slice(2) as [string, string, string];
const store = await ImageStore.open(root);
try {
  using lease = store.lease();
  const snapshots = openSnapshots(store);
  const folders = snapshots.prepare(await snapshots.unpack(loadImage(store, name), lease), folder);
  {
    using merged = await mountOverlay(folders);
    const inside = `/proc/self/fd/${merged.fd}`;
    rmSync(join(inside, 'gone'));
    rmSync(join(inside, 'anew'), { recursive: true });
    mkdirSync(join(inside, 'anew'));
    writeFileSync(join(inside, 'anew/new'), 'new');
  }
  for await (const { name } of tarEntries(layerOfUpper(folders))) console.log(name.toString());
} finally {
  store.close();
}
