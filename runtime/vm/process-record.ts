/**
 * The folder of a running machine, `<state root>/machines/<id>`: which QEMU it is and who started it, each by pid and start
 * time, so that a number used again is not taken for the old process. A provider that begins sweeps what dead ones left.
 */
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolders, writeFileAtomic } from '../kernel/files.js';
import { stateRoot } from '../kernel/places.js';
import { identityOf, isAlive, killProcess, type ProcessIdentity } from '../kernel/process-identity.js';

const Identity = z.object({ pid: z.int().positive(), startTime: z.string() });
const MachineRecord = z.object({ formatVersion: z.literal(1), owner: Identity, qemu: Identity });

export function runningFolder(): string {
  return join(stateRoot(), 'machines');
}

export async function writeRecord(id: string, qemuPid: number): Promise<void> {
  const qemu = identityOf(qemuPid);
  if (!qemu) return; // it is dead already; its end is reported by other means
  const folder = join(runningFolder(), id);
  makeFolders(runningFolder());
  await mkdir(folder, { mode: 0o700 });
  const record = { formatVersion: 1, owner: identityOf(process.pid), qemu };
  writeFileAtomic(join(folder, 'record.json'), JSON.stringify(record));
}

export async function removeRecord(id: string): Promise<void> {
  await rm(join(runningFolder(), id), { recursive: true, force: true });
}

/** The machines that run on this host. */
export async function listRecords(): Promise<{ id: string; qemu: ProcessIdentity; owner: ProcessIdentity }[]> {
  const running = [];
  for (const id of await runningIds()) {
    const record = await readRecord(id);
    if (record && isAlive(record.qemu)) running.push({ id, qemu: record.qemu, owner: record.owner });
  }
  return running;
}

/** Removes the folders whose owner is dead, and kills what it left running. Returns how many there were. */
export async function sweepRecords(): Promise<number> {
  let swept = 0;
  for (const id of await runningIds()) {
    const record = await readRecord(id);
    if (record && isAlive(record.owner)) continue;
    if (record) killProcess(record.qemu);
    // Without a record it may be a machine that starts at this moment: its owner writes the record within milliseconds.
    if (!record && !(await isOld(id))) continue;
    await removeRecord(id);
    swept++;
  }
  return swept;
}

async function runningIds(): Promise<string[]> {
  try {
    return await readdir(runningFolder());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function readRecord(id: string): Promise<z.infer<typeof MachineRecord> | undefined> {
  try {
    return MachineRecord.safeParse(JSON.parse(await readFile(join(runningFolder(), id, 'record.json'), 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function isOld(id: string): Promise<boolean> {
  const facts = await stat(join(runningFolder(), id)).catch(() => undefined);
  return facts !== undefined && Date.now() - facts.mtimeMs > 60_000;
}
