import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lastAnswer } from '../../runtime/vm/accel.js';
import { createProvider, type Machine, type MachineProvider, prepareImage } from '../../runtime/vm/index.js';
import { listRecords, runningFolder, sweepRecords } from '../../runtime/vm/process-record.js';
import { bootCold } from '../../runtime/vm/start.js';

let provider: MachineProvider;
let greedy: MachineProvider;
const machines: Machine[] = [];
beforeAll(async () => {
  provider = await createProvider({ limit: 5 });
  greedy = await createProvider({ reserveMiB: 1 << 30 });
}, 300_000);
afterEach(async () => {
  await Promise.all(machines.splice(0).map((machine) => machine.close()));
  expect(provider.usage.machines).toBe(0);
});
afterAll(async () => {
  await provider?.close();
  await greedy?.close();
});

async function create(options?: Parameters<MachineProvider['create']>[0]): Promise<Machine> {
  const machine = await provider.create(options);
  machines.push(machine);
  return machine;
}

/** Pid of a machine's QEMU, from its record. */
function qemuPid(machine: Machine): number {
  return JSON.parse(readFileSync(join(runningFolder(), machine.id, 'record.json'), 'utf8')).qemu.pid;
}

// Another process may be preparing image and snapshot for a working tree that has just changed.
const LONG = { timeout: 180_000 };

describe('a provider', LONG, () => {
  it('runs five at once, each with its own randomness and the right time', async () => {
    const five = await Promise.all(Array.from({ length: 5 }, () => create()));
    expect(provider.usage).toEqual({ machines: 5, limit: 5 });
    const before = Math.floor(Date.now() / 1000);
    const said = await Promise.all(
      five.map((m) => m.exec(['sh', '-c', 'date +%s; head -c 16 /dev/urandom | od -An -tx1'])),
    );
    const after = Math.ceil(Date.now() / 1000);
    for (const { stdout } of said) {
      const time = Number(stdout.toString().split('\n')[0]);
      expect(time).toBeGreaterThanOrEqual(before - 1);
      expect(time).toBeLessThanOrEqual(after + 1);
    }
    expect(new Set(said.map(({ stdout }) => stdout.toString().split('\n')[1])).size).toBe(5);
    await five[0]?.writeFile('/root/mine', 'x');
    await expect(five[1]?.readFile('/root/mine')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(create()).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringMatching(/^5 machines are running/),
    });
  });

  it('says how much memory is missing', async () => {
    await expect(greedy.create()).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringMatching(/MiB of memory left/),
    });
  });

  it('boots cold when asked, and says so', async () => {
    const said: string[] = [];
    const machine = await create({ cold: true, onProgress: (sentence) => said.push(sentence) });
    expect([machine.restored, said]).toEqual([false, ['booting a machine']]);
    expect((await machine.exec(['uname', '-n'])).stdout.toString()).toBe('lab\n');
  });

  it('says that a machine died, to all who use it', async () => {
    const machine = await create();
    const terminal = await machine.openTerminal({ columns: 80, rows: 24 });
    const waiting = Promise.allSettled([machine.exec(['sleep', '1000'])]);
    process.kill(qemuPid(machine), 'SIGKILL');
    expect(await machine.ended).toEqual({ reason: 'died', message: 'the machine ended: QEMU was killed by SIGKILL' });
    expect(await waiting).toMatchObject([{ status: 'rejected', reason: { code: 'machine' } }]);
    expect(await terminal.exited).toBe(-1);
    await expect(machine.readFile('/proc/1/status')).rejects.toMatchObject({ code: 'machine' });
    expect(existsSync(join(runningFolder(), machine.id))).toBe(false);
    await machine.close();
  });

  it('says that the learner switched the machine off', async () => {
    const machine = await create();
    await machine.openTerminal({ columns: 80, rows: 24 }).then((terminal) => terminal.write('poweroff\r'));
    expect(await machine.ended).toEqual({ reason: 'died', message: 'the machine was powered off' });
  });

  it('leaves no process and no folder of a closed machine', async () => {
    const machine = await create();
    const pid = qemuPid(machine);
    expect(readdirSync(join(runningFolder(), machine.id))).toEqual(['record.json']);
    await machine.close();
    await machine.close();
    expect((await machine.ended).reason).toBe('closed');
    expect([existsSync(`/proc/${pid}`), existsSync(join(runningFolder(), machine.id))]).toEqual([false, false]);
  });
});

describe('a start that fails', LONG, () => {
  it('says why in one sentence, and leaves nothing', async (ctx) => {
    if (process.geteuid?.() !== 0 || (statSync('/dev/kvm', { throwIfNoEntry: false })?.gid ?? 0) !== 0)
      return ctx.skip('here KVM may work, and this start with it');
    const before = await listRecords();
    const start = bootCold(await prepareImage(), { accelerator: 'kvm', memoryMiB: 256, tscKhz: 0, uid: 0x7fff0000 });
    await expect(start).rejects.toMatchObject({
      code: 'machine',
      message: expect.stringMatching(/^[^\n]*KVM[^\n]*$/i),
    });
    const left = (await listRecords()).filter(
      ({ id, owner }) => owner.pid === process.pid && !before.some((known) => known.id === id),
    );
    expect(left).toEqual([]);
    expect((await lastAnswer())?.accelerator).toMatch(/^(tcg|kvm)$/);
  });
});

describe('what a dead provider leaves', LONG, () => {
  it('is swept: its QEMU killed, its folder removed; a living one’s stays', async () => {
    const machine = await create();
    const left = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const died = new Promise((resolve) => left.once('exit', (_, signal) => resolve(signal)));
    const startTime = readFileSync(`/proc/${left.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19];
    const folder = join(runningFolder(), `m-test-${process.pid}`);
    await mkdir(folder, { mode: 0o700 });
    const record = { formatVersion: 1, owner: { pid: 4194304, startTime: '1' }, qemu: { pid: left.pid, startTime } };
    await writeFile(join(folder, 'record.json'), JSON.stringify(record));
    await sweepRecords();
    expect(await died).toBe('SIGKILL');
    expect([existsSync(folder), existsSync(join(runningFolder(), machine.id))]).toEqual([false, true]);
  });

  it('dies with it: QEMU does not outlive a provider that was killed', async () => {
    const machine = await create();
    const status = readFileSync(`/proc/${qemuPid(machine)}/stat`, 'utf8');
    expect(status.split(') ')[1]?.split(' ')[1]).toBe(String(process.pid)); // its parent is this process, whose death kills it
    const script = `
      const { createProvider } = await import(${JSON.stringify(new URL('../../dist/runtime/vm/index.js', import.meta.url).href)});
      const machine = await (await createProvider()).create();
      console.log(machine.id);
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const id = await new Promise<string>((resolve) =>
        child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())),
      );
      const { qemu } = JSON.parse(readFileSync(join(runningFolder(), id, 'record.json'), 'utf8'));
      child.kill('SIGKILL');
      while (existsSync(`/proc/${qemu.pid}`)) await new Promise((wake) => setTimeout(wake, 5));
      await sweepRecords();
      expect(existsSync(join(runningFolder(), id))).toBe(false);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
