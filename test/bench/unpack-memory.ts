/** `unpack-memory.js LAYER FOLDER`: unpacks a layer packed by gzip, and prints the most memory that it took, in KB. */
import { createReadStream, readFileSync } from 'node:fs';
import { applyLayer } from '../../runtime/image/layer/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../runtime/kernel/constants/open.js';

const [layer = '', folder = ''] = process.argv.slice(2);
await applyLayer(
  createReadStream(layer, { highWaterMark: 2 ** 20 }),
  'gzip',
  native.open(folder, O_PATH | O_DIRECTORY),
);
console.log(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
