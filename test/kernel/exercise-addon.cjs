// Calls everything that the addon has, also wrongly: run under AddressSanitizer by asan.test.ts. Prints "done" at the end.
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Worker, isMainThread } = require('node:worker_threads');

const native = require(process.env.TARE_ADDON);
native.onFailure((name, args, errno) => Object.assign(new Error(`${name}(${args}): ${errno}`), { errno }));

function fails(act) {
  try {
    act();
  } catch {
    return;
  }
  throw new Error(`should have failed: ${act}`);
}

/** Files by the descriptor of a folder, with names and attributes of all lengths. */
function files() {
  const folder = mkdtempSync(join(tmpdir(), 'tare-asan-'));
  try {
    const dir = native.open(folder, 0o200000);
    for (let i = 1; i < 260; i += 7) {
      const name = Buffer.alloc(i, 0xe9);
      if (i > 255) fails(() => native.mkdirat(dir, name, 0o700));
      else native.symlinkat('x'.repeat(i * 15), dir, name);
    }
    for (const { name } of native.getdents(dir))
      if (name[0] === 0xe9 && native.readlinkat(dir, name).length !== name.length * 15)
        throw new Error('a link is broken');
    const file = native.openat2(dir, 'f', 0o102, 0o600, 0);
    native.write(file, new Uint8Array(0));
    native.write(file, Buffer.alloc(100_000), 50_000);
    native.utimensat(file, '', -(2n ** 63n), 2n ** 63n - 1n, 0x1000);
    fails(() => native.utimensat(file, '', 2n ** 63n, 0n, 0x1000));
    native.fstatat(file, '', 0x1000);
    for (const size of [0, 1, 1000, 3000]) {
      native.setxattr(file, `user.${'n'.repeat(size / 20 + 1)}`, Buffer.alloc(size, 7));
      native.removexattr(file, native.listxattr(file)[0]);
    }
    fails(() => native.getxattr(file, 'a\0b'));
    fails(() => native.fchmodat(dir, 'no', 0, 0x100));
    native.close(file);
    native.close(dir);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Both directions, a byte at a time too; what is no zstd; a stream that is dropped while it works. */
async function zstd() {
  const data = readFileSync('/bin/sh');
  const packed = Buffer.alloc(data.length + 1000);
  const { produced, left } = await native.zstdCompressor(3).step(data, packed, true);
  if (left !== 0) throw new Error('zstd has not ended');
  const decompressor = native.zstdDecompressor(27);
  const out = Buffer.alloc(data.length);
  let done = 0;
  for (let at = 0; at < produced; ) {
    const result = await decompressor.step(
      packed.subarray(at, Math.min(at + 1 + (at % 700), produced)),
      out.subarray(done),
      false,
    );
    at += result.consumed;
    done += result.produced;
  }
  if (!out.equals(data)) throw new Error('zstd gave something else');
  await native
    .zstdDecompressor(27)
    .step(Buffer.from('no zstd'), out, false)
    .then(
      () => fails(() => undefined),
      () => undefined,
    );
  const busy = native.zstdCompressor(19);
  const first = busy.step(data, packed, true);
  fails(() => busy.step(data, packed, true));
  await first;
  for (let i = 0; i < 20; i++) void native.zstdCompressor(1).step(data, Buffer.alloc(data.length), true);
  global.gc();
  fails(() => native.zstdDecompressor(99));
}

async function main() {
  const [a, b] = native.socketpair();
  for (let size = 0; size < 70_000; size = size * 2 + 1) {
    native.sendmsg(a, Buffer.alloc(size + 1, 7), [a, b].slice(0, size % 3));
    const { data, fds } = native.recvmsg(b, 70_000, 3);
    if (data.length !== size + 1 || data[size] !== 7) throw new Error(`a message of ${size + 1} bytes is broken`);
    fds.forEach(native.close);
  }
  native.sendmsg(a, Buffer.from('long'), [a, b, a]);
  fails(() => native.recvmsg(b, 1, 1));
  fails(() => native.recvmsg(b, -1, 0));
  fails(() => native.sendmsg(a, Buffer.alloc(1), Array(300).fill(a)));

  const memory = native.sealedMemfd('x'.repeat(200), readFileSync('/bin/sh'));
  fails(() => native.sealedMemfd('x'.repeat(300), new Uint8Array(1)));
  for (let i = 0; i < 30; i++) {
    const fds = Array.from({ length: i }, (_, n) => [a, b, memory][n % 3]);
    const { pidfd } = native.spawn(memory, ['sh', '-c', 'exit 3', ...Array(i).fill('x'.repeat(i))], ['A=b'], fds);
    await new Promise((resolve) => {
      const watcher = native.watch(pidfd, 1, () => {
        watcher.close();
        resolve();
      });
    });
    if (native.waitPidfd(pidfd) !== 3 << 8) throw new Error('another status than 3');
    native.close(pidfd);
    fails(() => native.spawn(a, ['x'], [], fds));
    fails(() => native.spawn(memory, ['x'], [], [...fds, 9999]));
  }
  native.close(native.eventfd());
  fails(() => native.open('/no/such', 0));
  fails(() => native.openat2(-100, '/no\n"such"', 0, 0, 0));
  fails(() => native.spawn(memory, ['x\0'], [], []));
  fails(() => native.listenAt(a, 'x'.repeat(300)));
  native.getrlimit(7);
  native.landlockAbi();
  native.hasSyscall(437);
  native.seccompActionAvailable(0);
  const net = native.open('/proc/self/ns/net', 0);
  native.close(native.nsGetUserns(net));
  native.nsGetType(net);

  // RTM_GETADDR as a dump, RTM_GETLINK of a device that there is not, and what is no request.
  const request = (type, flags) => {
    const bytes = Buffer.alloc(32);
    bytes.writeUInt32LE(32, 0);
    bytes.writeUInt16LE(type, 4);
    bytes.writeUInt16LE(flags, 6);
    return bytes;
  };
  if (native.netlink(0, request(22, 0x301)).length < 16) throw new Error('no answer to a dump');
  fails(() => native.netlink(0, request(18, 5)));
  fails(() => native.netlink(0, request(18, 1)));
  for (let size = 0; size < 20; size++) fails(() => native.netlink(0, Buffer.alloc(size, 0xff)));

  files();
  await zstd();

  // Watches that nobody closes: by garbage collection, and by the end of an environment.
  for (let i = 0; i < 100; i++) native.watch(native.socketpair()[0], 1, () => undefined).unref();
  for (let i = 34; i <= 64; i++) native.watchSignal(i, () => undefined).unref();
  fails(() => native.watchSignal(9, () => undefined));
  global.gc();
  if (isMainThread) await new Promise((resolve) => new Worker(__filename, { stdout: true }).once('exit', resolve));
}

main().then(() => console.log('done'));
