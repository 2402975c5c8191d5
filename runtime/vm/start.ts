/**
 * Two ways to a running machine: a cold boot of the image, and going on from a snapshot. Both end with the agent awake; both
 * leave nothing behind when they fail.
 */
import { randomBytes } from 'node:crypto';
import { TareError } from '../kernel/error.js';
import type { Image } from './image/index.js';
import { AgentLink } from './link.js';
import { LiveMachine, within } from './live-machine.js';
import { removeRecord, writeRecord } from './process-record.js';
import { type Accelerator, type QemuConfig, type QemuProcess, startQemu } from './qemu.js';
import { Qmp } from './qmp.js';
import type { Snapshot } from './snapshot.js';

const BOOT_TIMEOUT_MS = 90_000;
const RESTORE_TIMEOUT_MS = 30_000;

export interface StartOptions {
  readonly memoryMiB: number;
  readonly tscKhz: number;
  readonly uid: number;
  readonly accelerator: Accelerator;
  /** How long a cold boot may take; the probe for KVM is less patient than a person. */
  readonly bootTimeoutMs?: number;
  /** Called when the machine has ended, however it did. */
  readonly onEnd?: () => void;
}

/** Boots the image. */
export async function bootCold(image: Image, options: StartOptions): Promise<LiveMachine> {
  const { machine } = await start({ image, ...options }, false, options.onEnd, ({ link, control }) => {
    const booted = control.execute('qmp_capabilities').then(() => link.hello);
    return within(options.bootTimeoutMs ?? BOOT_TIMEOUT_MS, 'the machine did not boot', booted);
  });
  return machine;
}

/** Goes on where the snapshot was made, with a private copy of its memory. */
export async function restore(
  snapshot: Snapshot,
  options: Omit<StartOptions, 'accelerator' | 'tscKhz' | 'memoryMiB'>,
): Promise<LiveMachine> {
  const { image, memoryMiB, tscKhz, accelerator, ram, state } = snapshot;
  const config = { image, memoryMiB, tscKhz, accelerator, uid: options.uid, ram: { path: ram, shared: false }, state };
  const { machine } = await start(config, true, options.onEnd, ({ qemu, control }) => {
    return within(RESTORE_TIMEOUT_MS, 'the snapshot was not restored', load(control, qemu.stateFd as number));
  });
  return machine;
}

export interface Parts {
  readonly qemu: QemuProcess;
  readonly link: AgentLink;
  readonly control: Qmp;
}

/** QEMU, made ready by `prepare`, then awake. */
export async function start(
  config: QemuConfig,
  restored: boolean,
  onEnd: (() => void) | undefined,
  prepare: (parts: Parts) => Promise<void>,
): Promise<Parts & { machine: LiveMachine }> {
  const id = `m-${randomBytes(6).toString('hex')}`;
  const qemu = startQemu(config);
  const link = new AgentLink(qemu.agent);
  const control = new Qmp(qemu.control);
  const cleanUp = async () => {
    await removeRecord(id);
    onEnd?.();
  };
  const machine = new LiveMachine({ id, accelerator: config.accelerator, restored }, qemu, link, cleanUp);
  try {
    if (qemu.child.pid !== undefined) await writeRecord(id, qemu.child.pid);
    await prepare({ qemu, link, control });
    await machine.wake();
    return { qemu, link, control, machine };
  } catch (cause) {
    await machine.close();
    throw explain(cause, qemu.lastWords());
  }
}

async function load(control: Qmp, stateFd: number): Promise<void> {
  await control.execute('qmp_capabilities');
  await control.execute('migrate-set-capabilities', {
    capabilities: [
      { capability: 'x-ignore-shared', state: true },
      { capability: 'events', state: true },
    ],
  });
  let status = '';
  const loaded = control.event((name, data) => {
    status = String(data.status);
    return name === 'MIGRATION' && ['completed', 'failed'].includes(status);
  });
  loaded.catch(() => undefined); // when the command below is refused, that is what is told
  await control.execute('migrate-incoming', { uri: `fd:${stateFd}` });
  await loaded;
  if (status !== 'completed') throw new TareError('machine', 'QEMU could not load the snapshot');
  await control.execute('cont');
}

/** What failed, with the last line that QEMU or the guest's kernel had to say. */
function explain(cause: unknown, lastWords: string): TareError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code =
    cause instanceof TareError && ['timeout', 'protocol', 'not-found'].includes(cause.code) ? cause.code : 'machine';
  const line = lastWords.trim().split('\n').at(-1)?.trim();
  return new TareError(code, line ? `${message}; its last words: ${line}` : message, { cause });
}
