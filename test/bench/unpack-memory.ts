/** `unpack-memory.js LAYER FOLDER...`: unpacks a layer packed by gzip, into several folders at a time, and prints the most memory that it took, in KB. */
import { readFileSync } from 'node:fs';
import { applyBlob } from '../../runtime/image/snapshot/apply-blob.js';
import { LayerThreads } from '../../runtime/image/snapshot/layer-threads.js';
import { native } from '../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../runtime/kernel/constants/open.js';

const [path = '', ...folders] = process.argv.slice(2);
using threads = new LayerThreads();
const apply = folders.length > 1 ? threads.apply.bind(threads) : applyBlob;
const targets = folders.map((folder) => native.open(folder, O_PATH | O_DIRECTORY));
await Promise.all(targets.map((target) => apply({ path, target, overlay: 'trusted' }, {})));
console.log(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
