// Calls what the addon has for files, names, attributes and zstd with anything: run under AddressSanitizer by asan.test.ts. Each call
// gives something or throws; none of them ends the process. Prints "done" at the end.
const { mkdtempSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Worker, isMainThread, workerData } = require('node:worker_threads');
const fc = require('fast-check');

const native = require(process.env.TARE_ADDON);
native.onFailure((name, args, errno) => Object.assign(new Error(`${name}(${args}): ${errno}`), { errno }));

const folder = isMainThread ? mkdtempSync(join(tmpdir(), 'tare-fuzz-')) : '';

function detached() {
  const bytes = new Uint8Array(100);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** What is no argument of anything, and what is one nearly. */
const odd = fc.constantFrom(
  undefined,
  null,
  Number.NaN,
  Number.NEGATIVE_INFINITY,
  -0,
  -1,
  1.5,
  -(2 ** 31) - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 64,
  0n,
  -(2n ** 63n),
  2n ** 64n,
  2n ** 1000n,
  '',
  'a\0b',
  '\ud800',
  'x'.repeat(5000),
  true,
  Symbol('s'),
  [],
  {},
  () => 1,
  new Uint8Array(0),
  new Uint8Array(5000),
  new Uint8Array(new SharedArrayBuffer(10)),
  new Float64Array(3),
  new DataView(new ArrayBuffer(3)),
  new ArrayBuffer(9),
  detached(),
  {
    valueOf() {
      throw new Error('asked for its value');
    },
  },
  new Proxy(
    {},
    {
      get() {
        throw new Error('asked for a property');
      },
    },
  ),
);
const name = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'folder', '', '.', 'no/such', 'x'.repeat(256)),
  fc.uint8Array({ maxLength: 300 }).filter((bytes) => !bytes.includes(0x2f)),
);
const bytes = fc.oneof(fc.uint8Array({ maxLength: 2000 }), fc.constant(detached()));
const number = fc.oneof(fc.nat(0o7777), fc.constantFrom(0x100, 0x200, 0x1000, 0x400), fc.nat(2 ** 31 - 1));
const size = fc.nat(1 << 20);
const time = fc.oneof(fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }), fc.constant(undefined));
const attribute = fc.oneof(fc.constantFrom('user.a', 'user.b', 'trusted.c', 'none', 'user.'), name);

/** Of each function what its arguments should be. */
function shapes(dir, file) {
  const fd = fc.constantFrom(dir, dir, dir, file, file, 999_999, -1);
  return {
    mkdirat: [fd, name, number],
    symlinkat: [name, fd, name],
    linkat: [fd, name, fd, name, number],
    mknodat: [fd, name, number, number, number],
    unlinkat: [fd, name, number],
    renameat2: [fd, name, fd, name, number],
    readlinkat: [fd, name],
    getdents: [fd],
    fstatat: [fd, name, number],
    fchownat: [fd, name, number, number, number],
    fchmodat: [fd, name, number, number],
    utimensat: [fd, name, time, time, number],
    setxattr: [fd, attribute, bytes, number],
    getxattr: [fd, attribute],
    listxattr: [fd],
    removexattr: [fd, attribute],
    write: [fd, bytes, fc.option(size, { nil: undefined })],
    lseek: [fd, size, fc.nat(5)],
    ftruncate: [fd, size],
    copyFileRange: [fd, size, fd, size, size],
  };
}

/** One argument in so many is none. @returns those with which the function is called */
function argumentsOf(shape) {
  return fc
    .tuple(...shape.map((good) => fc.oneof({ weight: 4, arbitrary: good }, { weight: 1, arbitrary: odd })))
    .chain((all) => fc.nat(all.length).map((count) => (count === 0 ? all.slice(0, -1) : all)));
}

function files(seed) {
  const dir = native.open(folder, 0o200000);
  const path = join(folder, 'a');
  writeFileSync(path, 'what it holds');
  const file = native.openat2(dir, 'a', 0o2, 0, 0);
  const before = readdirSync('/proc/self/fd').length;
  for (const [call, shape] of Object.entries(shapes(dir, file)))
    fc.assert(
      fc.property(argumentsOf(shape), (args) => {
        try {
          native[call](...args);
        } catch (error) {
          if (!(error instanceof Error)) throw new Error(`${call} threw no error`, { cause: error });
        }
      }),
      { numRuns: 400, seed },
    );
  if (readdirSync('/proc/self/fd').length !== before) throw new Error('a descriptor is left open');
  native.close(file);
  native.close(dir);
}

/** Streams made of parts of good ones, with bytes changed, in pieces, into memory of any size. */
async function zstd(seed) {
  const packed = Buffer.alloc(20_000);
  const data = Buffer.alloc(5000, 'all work and no play');
  const { produced } = await native.zstdCompressor(3).step(data, packed, true);
  const good = packed.subarray(0, produced);
  const part = fc.oneof(
    fc.constant(good),
    fc.nat(produced).map((end) => good.subarray(0, end)),
    fc.tuple(fc.nat(produced - 1), fc.nat(255)).map(([at, value]) => {
      const changed = Buffer.from(good);
      changed[at] = value;
      return changed;
    }),
    fc
      .constantFrom('502a4d1800000000', '28b52ffd2000010000', '28b52ffd', '5f2a4d18ffffffff', '27b52ffd00')
      .map((hex) => Buffer.from(hex, 'hex')),
    fc.uint8Array({ maxLength: 50 }).map((any) => Buffer.from(any)),
  );
  const streams = fc.tuple(fc.array(part, { maxLength: 5 }), fc.integer({ min: 1, max: 999 }), fc.nat(3000));
  await fc.assert(
    fc.asyncProperty(streams, async ([parts, piece, room]) => {
      const whole = Buffer.concat(parts);
      const { step } = native.zstdDecompressor(27);
      const out = Buffer.alloc(room);
      for (let at = 0, steps = 0; at < whole.length && steps < 200; steps++) {
        const end = Math.min(at + piece, whole.length);
        const result = await step(whole.subarray(at, end), out, false).catch(() => undefined);
        if (!result) return;
        if (result.produced > room || result.consumed > end - at) throw new Error('it took or gave what was not there');
        at += result.consumed;
      }
    }),
    { numRuns: 500, seed },
  );
  await fc.assert(
    fc.asyncProperty(argumentsOf([odd, odd, odd]), async (args) => {
      for (const make of ['zstdCompressor', 'zstdDecompressor'])
        try {
          await native[make](args[0]);
          await native[make](10).step(...args);
        } catch (error) {
          if (!(error instanceof Error)) throw new Error('it threw no error', { cause: error });
        }
    }),
    { numRuns: 500, seed },
  );
}

/** An environment that ends while its steps are under way. */
function endsAtWork() {
  const data = Buffer.alloc(1 << 20, 'all work and no play');
  for (let i = 0; i < 10; i++) void native.zstdCompressor(19).step(data, Buffer.alloc(data.length), true);
  if (workerData === 'exit') process.exit();
}

async function main() {
  if (!isMainThread) return endsAtWork();
  const seed = Number(process.env.TARE_FUZZ_SEED ?? Date.now() % 2 ** 31);
  try {
    files(seed);
    await zstd(seed);
    for (const way of ['exit', 'terminate', 'end']) {
      const worker = new Worker(__filename, { workerData: way });
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      if (way === 'terminate') worker.once('online', () => worker.terminate());
      await ended;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log('done');
}

main();
