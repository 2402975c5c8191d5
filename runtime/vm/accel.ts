/**
 * KVM or TCG? /dev/kvm may be there and hang, so KVM is used only after a probe guest has answered within a few seconds. The
 * answer is kept until the machine reboots, since the probe costs as long as a boot.
 */
import { constants } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../kernel/files.js';
import { bootId } from '../kernel/process-identity.js';
import type { Image } from './image/index.js';
import { machinesFolder, type Progress } from './image/store.js';
import type { Accelerator } from './qemu.js';
import { bootCold } from './start.js';

const PROBE_MS = 8_000;
const PROBE_MEMORY_MIB = 256;

const Answer = z.object({ bootId: z.string(), accelerator: z.enum(['kvm', 'tcg']), why: z.string() });
export type AcceleratorAnswer = z.infer<typeof Answer>;

/** What to run machines with, on this host, since its last boot. */
export async function chooseAccelerator(image: Image, onProgress: Progress = () => undefined): Promise<Accelerator> {
  const known = await lastAnswer();
  if (known?.bootId === bootId()) return known.accelerator;
  const answer = { bootId: bootId(), ...(await ask(image, onProgress)) };
  await mkdir(machinesFolder(), { recursive: true, mode: 0o700 });
  writeFileAtomic(join(machinesFolder(), 'accelerator.json'), JSON.stringify(answer));
  return answer.accelerator;
}

/** The answer on record, and why; undefined when nobody has asked yet. */
export async function lastAnswer(): Promise<AcceleratorAnswer | undefined> {
  const text = await readFile(join(machinesFolder(), 'accelerator.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return Answer.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // torn by a crash: ask again
    throw error;
  }
}

async function ask(image: Image, onProgress: Progress): Promise<Omit<AcceleratorAnswer, 'bootId'>> {
  const refusal = await unusable();
  if (refusal) return { accelerator: 'tcg', why: refusal };
  onProgress('trying whether KVM answers', 0.05);
  try {
    const machine = await bootCold(image, {
      accelerator: 'kvm',
      memoryMiB: PROBE_MEMORY_MIB,
      tscKhz: 0,
      uid: probeUid(),
      bootTimeoutMs: PROBE_MS,
    });
    await machine.close();
    return { accelerator: 'kvm', why: 'a probe guest answered' };
  } catch (error) {
    return { accelerator: 'tcg', why: `a probe guest under KVM did not answer: ${(error as Error).message}` };
  }
}

function probeUid(): number {
  return 0x40000000 + process.pid;
}

/** QEMU runs as a user id of its own and in the group of /dev/kvm, never as root: that must be enough to open it. */
async function unusable(): Promise<string | undefined> {
  const facts = await stat('/dev/kvm').catch(() => undefined);
  if (!facts) return 'there is no /dev/kvm';
  const group = constants.S_IRGRP | constants.S_IWGRP;
  const asRoot = process.geteuid?.() === 0;
  if (asRoot && (facts.gid === 0 || (facts.mode & group) !== group))
    return '/dev/kvm is for root alone, and QEMU never runs as root';
  return undefined;
}
