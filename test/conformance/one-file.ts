/**
 * A program of dist/ for a machine whose processor is emulated: all of its modules in one file, read with V8's code cache. Finding, parsing
 * and compiling a hundred modules is most of what a short command costs there: `tare-oci list` 3.2 s of the host's processor, and 1.2 s so.
 */
import { join } from 'node:path';
import { packageRoot } from '../../runtime/kernel/places.js';
import type { Machine } from '../../runtime/vm/index.js';

/** Below the machine's package.json, where Tare looks for its own files from. */
const FOLDER = '/opt/tare/dist/one-file';
const NODE = '/usr/bin/node';

/**
 * Puts dist/ENTRY, which exports `main(argv)`, into the machine as an executable of this name.
 * @param warmUps calls that run most of it, however they end: what was compiled for them is the cache
 */
export async function putOneFile(
  machine: Machine,
  entry: string,
  name: string,
  warmUps: readonly (readonly string[])[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const path = `${FOLDER}/${name}`;
  const made = await machine.exec(['mkdir', '-p', FOLDER]);
  if (made.status !== 0) throw new Error(`in the machine: ${made.stderr}`);
  await machine.writeFile(`${path}.cjs`, await bundle(entry));
  // After --, as Node 20 would take an --env-file of the program's for its own.
  await machine.writeFile(path, Buffer.from(`#!${NODE} --\n${launcher(`${path}.cjs`)}`), 0o755);
  let said = '';
  for (const words of warmUps) {
    const { stderr } = await machine.exec([path, ...words], { env: { ...env, MAKE_CODE_CACHE: '1' } });
    said = stderr.toString();
  }
  const cached = await machine.exec(['test', '-s', `${path}.cjs.cache`]);
  if (cached.status !== 0) throw new Error(`in the machine: ${name} has made no code cache: ${said}`);
  return path;
}

/** One CommonJS file, since only scripts, not modules, can be given a cache by vm.Script in every Node that Tare runs on. */
async function bundle(entry: string): Promise<Buffer> {
  const { rolldown } = await import('rolldown');
  const bundled = await rolldown({
    input: join(packageRoot(), 'dist', entry),
    platform: 'node',
    // Its checks are files of their own, which it loads by their paths.
    external: [/exercise\.js$/],
    logLevel: 'silent',
  });
  try {
    const { output } = await bundled.generate({ format: 'cjs', codeSplitting: false });
    return Buffer.from(output[0].code);
  } finally {
    await bundled.close();
  }
}

function launcher(script: string): string {
  return `import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { Script } from 'node:vm';
const [file, cache] = ['${script}', '${script}.cache'];
const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
const script = new Script(Module.wrap(readFileSync(file, 'utf8')), { filename: file, cachedData });
if (script.cachedDataRejected) throw new Error('this is the code cache of another Node');
const module = { exports: {} };
script.runInThisContext()(module.exports, createRequire(file), module, file, '${FOLDER}');
await module.exports.main(process.argv);
if (process.env.MAKE_CODE_CACHE) writeFileSync(cache, script.createCachedData());
`;
}
