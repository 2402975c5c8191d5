/** `npm run bench [-- NAME ...]`: runs the benchmarks, each in a file of its own, and prints what they say. */
import { TareError } from '../../runtime/kernel/error.js';

const BENCHES: Readonly<Record<string, () => Promise<{ bench: () => Promise<string> }>>> = {
  container: () => import('./container.js'),
  oci: () => import('./oci.js'),
  crowd: () => import('./crowd.js'),
  crun: () => import('./crun.js'),
  stage: () => import('./stage.js'),
  pull: () => import('./pull.js'),
  build: () => import('./build.js'),
  unpack: () => import('./unpack.js'),
  lab: () => import('./lab.js'),
};

export async function main(argv: readonly string[]): Promise<void> {
  const wanted = argv.slice(2);
  const unknown = wanted.find((name) => !(name in BENCHES));
  if (unknown) {
    throw new TareError('usage', `no benchmark is called ${unknown}; there are: ${Object.keys(BENCHES).join(', ')}`);
  }
  for (const [name, load] of Object.entries(BENCHES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.log(`${name}`);
    console.log(await (await load()).bench());
    console.log();
  }
}
