/**
 * The folder of a running machine, `<state root>/machines/<id>`: which QEMU it is and who started it, each by pid and start
 * time, so that a number used again is not taken for the old process. A provider that begins sweeps what dead ones left.
 */
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { stateRoot } from '../kernel/places.js';

const ProcessId = z.object({ pid: z.int().positive(), startTime: z.string() });
const MachineRecord = z.object({ formatVersion: z.literal(1), owner: ProcessId, qemu: ProcessId });
export type ProcessId = z.infer<typeof ProcessId>;

export function runningFolder(): string {
  return join(stateRoot(), 'machines');
}

/** A process, such that it cannot be mistaken for a later one; undefined when there is none. proc(5): field 22 of stat. */
export function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : { pid, startTime: fields[19] ?? '' };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

export async function writeRecord(id: string, qemuPid: number): Promise<void> {
  const qemu = identify(qemuPid);
  if (!qemu) return; // it is dead already; its end is reported by other means
  const folder = join(runningFolder(), id);
  await mkdir(runningFolder(), { recursive: true, mode: 0o700 });
  await mkdir(folder, { mode: 0o700 });
  await writeFile(join(folder, 'record.tmp'), JSON.stringify({ formatVersion: 1, owner: identify(process.pid), qemu }));
  await rename(join(folder, 'record.tmp'), join(folder, 'record.json'));
}

export async function removeRecord(id: string): Promise<void> {
  await rm(join(runningFolder(), id), { recursive: true, force: true });
}

/** The machines that run on this host. */
export async function listRecords(): Promise<{ id: string; qemu: ProcessId; owner: ProcessId }[]> {
  const running = [];
  for (const id of await readdir(runningFolder()).catch(() => [] as string[])) {
    const record = await readRecord(id);
    if (record && same(record.qemu)) running.push({ id, qemu: record.qemu, owner: record.owner });
  }
  return running;
}

/** Removes the folders whose owner is dead, and kills what it left running. Returns how many there were. */
export async function sweepRecords(): Promise<number> {
  let swept = 0;
  for (const id of await readdir(runningFolder()).catch(() => [] as string[])) {
    const record = await readRecord(id);
    if (record && same(record.owner)) continue;
    if (record && same(record.qemu)) process.kill(record.qemu.pid, 'SIGKILL');
    // Without a record it may be a machine that starts at this moment: its owner writes the record within milliseconds.
    if (!record && !(await isOld(id))) continue;
    await removeRecord(id);
    swept++;
  }
  return swept;
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

function same(process: ProcessId): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}
