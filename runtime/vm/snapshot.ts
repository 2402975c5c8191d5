/**
 * The saved machine that all others are copies of: booted, warmed up, then stopped, its RAM in a file and its device state
 * beside it. QEMU's `x-ignore-shared` leaves the RAM out of the migration stream, so a copy maps the file privately and
 * begins within a tenth of a second. Nobody may touch the RAM file afterwards.
 */
import { createHash } from 'node:crypto';
import { chmodSync, createWriteStream } from 'node:fs';
import { chown, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { nativeFile } from '../kernel/places.js';
import { chooseAccelerator } from './accel.js';
import type { Image } from './image/index.js';
import { run } from './image/run.js';
import { artefact, exists, make, needSpace, type Progress, withBuildLock } from './image/store.js';
import { type LiveMachine, within } from './live-machine.js';
import { type Accelerator, qemuProgram } from './qemu.js';
import type { Qmp } from './qmp.js';
import { start } from './start.js';

const RECIPE = 3;
export const MEMORY_MIB = 512;
const SAVE_TIMEOUT_MS = 30_000;
const BOOT_TIMEOUT_MS = 90_000;
const WARM_UP_MS = 30_000;

export interface Snapshot {
  readonly image: Image;
  readonly ram: string;
  readonly state: string;
  readonly memoryMiB: number;
  readonly tscKhz: number;
  readonly accelerator: Accelerator;
  /** Names the folder that is to be held while machines are made from it. */
  readonly key: string;
}

const Facts = z.object({ memoryMiB: z.int(), tscKhz: z.int(), accelerator: z.enum(['kvm', 'tcg']) });

/** The snapshot of an image; made unless it is there. A few seconds, once for each image. */
export async function prepareSnapshot(image: Image, options: { onProgress?: Progress } = {}): Promise<Snapshot> {
  const onProgress = options.onProgress ?? (() => undefined);
  const accelerator = await chooseAccelerator(image, onProgress);
  const key = await snapshotKey(image, accelerator);
  const ready = await readSnapshot(image, key);
  if (ready) return ready;
  return await withBuildLock(onProgress, async () => {
    if (!(await exists('snapshot', key))) {
      await needSpace(2 * MEMORY_MIB * (1 << 20));
      await make('snapshot', key, (folder) => build(image, accelerator, folder, onProgress));
    }
    onProgress('the snapshot is ready', 1);
    return (await readSnapshot(image, key)) as Snapshot;
  });
}

/** A finished snapshot; undefined where there is none. */
export async function findSnapshot(image: Image): Promise<Snapshot | undefined> {
  return await readSnapshot(image, await snapshotKey(image, await chooseAccelerator(image)));
}

/** Kilohertz of the time stamp counter, which a guest under TCG sees as it is. */
export async function tscKhz(): Promise<number> {
  return Number.parseInt(await run(nativeFile('agent'), ['--tsc-khz']), 10);
}

/** Device state is bound to the QEMU that wrote it, to the accelerator, and to the processor. */
async function snapshotKey(image: Image, accelerator: Accelerator): Promise<string> {
  const version = (await run(qemuProgram(), ['--version'])).split('\n')[0];
  const processor = /^model name\s*: (.*)$/m.exec(await readFile('/proc/cpuinfo', 'latin1'))?.[1];
  const what = JSON.stringify([RECIPE, MEMORY_MIB, version, processor, accelerator]);
  return `${image.key}-${createHash('sha256').update(what).digest('hex').slice(0, 8)}`;
}

async function readSnapshot(image: Image, key: string): Promise<Snapshot | undefined> {
  const folder = artefact('snapshot', key);
  const text = await readFile(join(folder, 'snapshot.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  return { image, key, ram: join(folder, 'ram'), state: join(folder, 'state'), ...Facts.parse(JSON.parse(text)) };
}

async function build(image: Image, accelerator: Accelerator, folder: string, onProgress: Progress): Promise<void> {
  const facts = { memoryMiB: MEMORY_MIB, tscKhz: await tscKhz(), accelerator };
  const uid = 0x40000000 + process.pid;
  const ram = join(folder, 'ram');
  await writeFile(ram, '');
  await truncate(ram, MEMORY_MIB * (1 << 20));
  chmodSync(ram, 0o666); // the folder above is closed to everybody; QEMU is given a descriptor of its own
  onProgress('booting the machine that is to be saved', 0.1);
  const config = { image, ...facts, uid, ram: { path: ram, shared: true } };
  const { machine, control } = await start(config, false, undefined, ({ link, control }) =>
    within(
      BOOT_TIMEOUT_MS,
      'the machine did not boot',
      control.execute('qmp_capabilities').then(() => link.hello),
    ),
  );
  try {
    onProgress('warming it up', 0.5);
    await warmUp(machine);
    onProgress('saving it', 0.9);
    await save(control, folder, uid);
  } finally {
    await machine.close();
  }
  const file = await open(ram, 'r+');
  await file.sync(); // the name that it gets must not outlive a power cut that the contents do not
  await file.close();
  await writeFile(join(folder, 'snapshot.json'), JSON.stringify(facts));
}

/** What every learner runs first is read into the page cache once, here. */
async function warmUp(machine: LiveMachine): Promise<void> {
  const commands = [
    'bash -lic true; ls -l / /proc/self/ns; ps aux; id; mount; ip addr; hostname; cat /proc/self/status; find /sys/fs/cgroup -maxdepth 1',
    'unshare --mount --uts --ipc --pid --fork --net true; lsns; nsenter --version; readlink /proc/self/ns/*; findmnt; busybox true; strace -V',
    'tare run --help; tare inspect 1; man -w unshare; nano --version; tree --version; grep -c . /etc/passwd; sed -n 1p /etc/passwd',
  ];
  // On a busy host it takes too long; what is warm by then is warm, and the rest costs the first learner a second. It is ended in the
  // machine: a command that was given up from here would be saved with it, and each copy would tell its end to whom nobody had asked.
  const limit = ['timeout', '--signal=KILL', String(WARM_UP_MS / 1000), 'bash', '-c'];
  for (const command of commands)
    await machine.exec([...limit, command], { timeoutMs: 4 * WARM_UP_MS, maxOutput: 4 << 20 });
}

/** QEMU may not open files, so it sends its state to a socket that only its user id can reach. */
async function save(control: Qmp, folder: string, uid: number): Promise<void> {
  const meeting = await mkdtemp(join(tmpdir(), 'tare-save-'));
  const path = join(meeting, 'state.sock');
  const server = createServer();
  try {
    const written = new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.once('connection', (stream) =>
        pipeline(stream, createWriteStream(join(folder, 'state'))).then(resolve, reject),
      );
    });
    written.catch(() => undefined); // when a command below is refused, that is what is told
    await new Promise<void>((resolve) => server.listen(path, resolve));
    if (process.geteuid?.() === 0) for (const owned of [meeting, path]) await chown(owned, uid, uid);
    await control.execute('stop');
    const capabilities = [
      { capability: 'x-ignore-shared', state: true },
      { capability: 'events', state: true },
    ];
    await control.execute('migrate-set-capabilities', { capabilities });
    await control.execute('migrate', { uri: `unix:${path}` });
    await within(SAVE_TIMEOUT_MS, 'the machine’s state was not saved', written);
    await control.execute('query-migrate').then((status) => z.object({ status: z.literal('completed') }).parse(status));
  } finally {
    server.close();
    await rm(meeting, { recursive: true, force: true });
  }
}
