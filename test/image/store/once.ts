/** Wants one blob, slowly; says whether it has written it itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { digestOf } from '../../../runtime/oci/image/index.js';

const data = Buffer.alloc(1 << 20, 'blob');
using store = await ImageStore.open(process.argv[2]);
using lease = store.lease();
await using ingest = await store.content.ingest({ digest: digestOf(data), size: data.length }, lease);
for (let at = ingest?.offset ?? data.length; at < data.length; at += 1 << 17) {
  await ingest?.write(data.subarray(at, at + (1 << 17)));
  await sleep(20);
}
await ingest?.commit();
process.stdout.write(`${ingest ? 'written' : 'found'} ${store.content.read(digestOf(data)).length}\n`);
