/**
 * Makes machines, within limits. It owns the image and the snapshot while it lives (a shared lock on their folders), gives each QEMU a user id
 * of its own, says so where the snapshot cannot serve, and sweeps at its start what dead providers left.
 */
import { readFileSync } from 'node:fs';
import { TareError } from '../kernel/error.js';
import { chooseAccelerator } from './accel.js';
import { type Image, prepareImage } from './image/index.js';
import { hold, type Progress } from './image/store.js';
import type { LiveMachine } from './live-machine.js';
import type { Machine, MachineProvider } from './machine.js';
import { sweepRecords } from './process-record.js';
import { sealRam } from './sealed-ram.js';
import { MEMORY_MIB, prepareSnapshot, type Snapshot, tscKhz } from './snapshot.js';
import { bootCold, restore } from './start.js';

export interface ProviderOptions {
  /** How many machines may run at once; 8 unless told. */
  readonly limit?: number;
  /** Memory that must stay free on the host, in MiB; 512 unless told. */
  readonly reserveMiB?: number;
  readonly onProgress?: Progress;
}

const DEFAULT_LIMIT = 8;
const DEFAULT_RESERVE_MIB = 512;
/** User ids of QEMUs: above every range that useradd and subuid hand out; 64 for each process that may have machines. */
const FIRST_UID = 0x40000000;
const UIDS = 64;

/** Prepares image and snapshot where that has not been done, then makes machines. */
export async function createProvider(options: ProviderOptions = {}): Promise<MachineProvider> {
  await sweepRecords();
  const onProgress = options.onProgress ?? (() => undefined);
  const image = await prepareImage({ onProgress: (sentence, fraction) => onProgress(sentence, fraction * 0.8) });
  const held: (() => void)[] = [hold('base', image.base), hold('image', image.key)];
  let snapshot: Snapshot | undefined;
  let trouble: string | undefined;
  try {
    snapshot = await prepareSnapshot(image, {
      onProgress: (sentence, fraction) => onProgress(sentence, 0.8 + fraction * 0.2),
    });
    held.push(hold('snapshot', snapshot.key));
    const ram = await sealRam(snapshot.ram);
    held.push(ram.release);
    snapshot = { ...snapshot, ram: ram.path };
  } catch (error) {
    if (!(error instanceof TareError)) throw error;
    trouble = error.message;
    snapshot = undefined;
  }
  return new Provider(image, snapshot, trouble, options, held);
}

class Provider implements MachineProvider {
  private readonly limit: number;
  private readonly machines = new Set<LiveMachine>();
  private readonly uids = new Set<number>();
  private starting = 0;
  private closed = false;

  constructor(
    private readonly image: Image,
    private readonly snapshot: Snapshot | undefined,
    private trouble: string | undefined,
    private readonly options: ProviderOptions,
    private readonly held: readonly (() => void)[],
  ) {
    this.limit = Math.min(options.limit ?? DEFAULT_LIMIT, UIDS);
  }

  get usage() {
    return { machines: this.machines.size + this.starting, limit: this.limit };
  }

  async create(options: { onProgress?: (sentence: string) => void; cold?: boolean } = {}): Promise<Machine> {
    this.checkLimits();
    const uid = this.takeUid();
    this.starting++;
    let machine: LiveMachine | undefined;
    const onEnd = () => {
      this.uids.delete(uid);
      if (machine) this.machines.delete(machine);
    };
    try {
      machine = await this.begin(uid, options, onEnd);
      this.machines.add(machine);
    } finally {
      this.starting--;
      if (!machine) this.uids.delete(uid);
    }
    if (this.closed) {
      await machine.close();
      throw new TareError('state', 'no more machines are made: the provider was closed');
    }
    return machine;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.machines].map((machine) => machine.close()));
    for (const release of this.held) release();
  }

  private async begin(
    uid: number,
    options: { onProgress?: (sentence: string) => void; cold?: boolean },
    onEnd: () => void,
  ): Promise<LiveMachine> {
    const say = options.onProgress ?? (() => undefined);
    if (!options.cold && this.snapshot) {
      say('restoring a machine from the snapshot');
      try {
        return await restore(this.snapshot, { uid, onEnd });
      } catch (error) {
        if (!(error instanceof TareError)) throw error;
        this.trouble = error.message;
      }
    }
    if (!options.cold)
      say(
        `the snapshot cannot serve (${this.trouble ?? 'there is none'}); booting a machine cold, which takes some seconds`,
      );
    else say('booting a machine');
    const accelerator = await chooseAccelerator(this.image);
    return await bootCold(this.image, { accelerator, uid, memoryMiB: MEMORY_MIB, tscKhz: await tscKhz(), onEnd });
  }

  private checkLimits(): void {
    if (this.closed) throw new TareError('state', 'no more machines are made: the provider was closed');
    const { machines, limit } = this.usage;
    if (machines >= limit)
      throw new TareError(
        'busy',
        `${machines} machine${machines === 1 ? ' is' : 's are'} running, and no more may: close one, or try again later`,
      );
    const needed = (this.options.reserveMiB ?? DEFAULT_RESERVE_MIB) + MEMORY_MIB * (this.starting + 1);
    const free = availableMiB();
    if (free < needed)
      throw new TareError('busy', `this host has ${free} MiB of memory left; another machine needs ${needed} MiB`);
  }

  private takeUid(): number {
    const first = FIRST_UID + process.pid * UIDS;
    for (let uid = first; uid < first + UIDS; uid++) {
      if (this.uids.has(uid)) continue;
      this.uids.add(uid);
      return uid;
    }
    throw new TareError('busy', `no more than ${UIDS} machines may start at once`);
  }
}

function availableMiB(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'));
  return Math.floor(Number(match?.[1] ?? 0) / 1024);
}
