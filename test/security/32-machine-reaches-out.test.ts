/**
 * Attack 32: a learner's machine reaches for the host's network, files, or another learner. What holds it is what its QEMU
 * may do: nothing but run, with the descriptors that it was given.
 */
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProvider, type Machine, type MachineProvider } from '../../runtime/vm/index.js';
import { runningFolder } from '../../runtime/vm/process-record.js';

let provider: MachineProvider | undefined;
let machine: Machine;
let pid: number;
beforeAll(async () => {
  provider = await createProvider({ limit: 1 });
  machine = await provider.create();
  pid = JSON.parse(readFileSync(join(runningFolder(), machine.id, 'record.json'), 'utf8')).qemu.pid;
}, 300_000);
afterAll(() => provider?.close());

describe('a machine', () => {
  it('runs QEMU without privileges, network, or a path to open', async () => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1];
    expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2']);
    expect(['CapEff', 'CapPrm', 'CapInh', 'CapAmb'].map(field)).toEqual(Array(4).fill('0000000000000000'));
    if (process.geteuid?.() !== 0) return;
    const [uid = 0] = (field('Uid') ?? '').split('\t').map(Number);
    expect(uid).toBeGreaterThanOrEqual(0x40000000);
    expect([field('Gid'), field('Groups')?.trim()]).toEqual([`${uid}\t${uid}\t${uid}\t${uid}`, '']);
    expect(field('CapBnd')).toBe('0000000000000000');
    expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(readlinkSync('/proc/self/ns/net'));
    expect(
      readFileSync(`/proc/${pid}/net/dev`, 'utf8')
        .match(/^\s*\w+:/gm)
        ?.map((name) => name.trim()),
    ).toEqual(['lo:']);
  });

  it('keeps the memory that all machines begin with from every QEMU, even one taken over', async () => {
    const folder = `/proc/${pid}/fd`;
    const ram = readdirSync(folder).find((fd) => readlinkSync(join(folder, fd)).startsWith('/memfd:tare-ram'));
    expect(ram).toBeDefined();
    const fd = openSync(join(folder, ram as string), 'r+');
    try {
      expect(() => writeSync(fd, 'x', 0)).toThrow(/EPERM/);
      expect(() => ftruncateSync(fd, 0)).toThrow(/EPERM/);
    } finally {
      closeSync(fd);
    }
  });

  it('has no network but its loopback, and no route', async () => {
    const { stdout } = await machine.exec(['sh', '-c', 'ls /sys/class/net; ip route show table all | grep -v " lo "']);
    expect(stdout.toString()).toBe('lo\n');
  });
});
