// Run by fchmodat2.test.ts under a filter that has no fchmodat2: `ADDON FOLDER`. Changes modes in the folder, and prints what was refused.
import { createRequire } from 'node:module';

const [addon, folder] = process.argv.slice(2);
const native = createRequire(import.meta.url)(addon);
native.onFailure((name, _args, errno) => Object.assign(new Error(name), { errno }));
if (native.hasSyscall(452)) throw new Error('there is no filter');
const dir = native.open(folder, 0o200000);
const file = native.openat2(dir, 'file', 0o10000000, 0, 0); // O_PATH
native.fchmodat(file, '', 0o4711, 0x1000);
native.fchmodat(dir, 'other', 0o640, 0x100);
try {
  native.fchmodat(dir, 'link', 0o777, 0x100);
} catch (error) {
  console.log(error.errno);
}
