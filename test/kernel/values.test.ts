/** The tables of the kernel floor, compared with what this machine's kernel and tools say. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  ALL_CAPABILITIES,
  CAPABILITIES,
  capabilityMask,
  capabilityNames,
  capabilityNumber,
  DEFAULT_CAPABILITIES,
  parseCapabilityMask,
} from '../../runtime/kernel/capabilities.js';
import { ERRNO, errnoName, errnoNumber } from '../../runtime/kernel/errno.js';
import { setLinkUp } from '../../runtime/kernel/netlink.js';
import { RLIMITS } from '../../runtime/kernel/rlimits.js';
import { parseSignal, SIGNALS, signalName } from '../../runtime/kernel/signals.js';
import { failureOf } from './support.js';

describe('errnos', () => {
  it('agree with those that Node knows', () => {
    for (const [name, number] of Object.entries(constants.errno)) {
      if (name === 'ENOTSUP' || name === 'EWOULDBLOCK') continue; // aliases of EOPNOTSUPP and EAGAIN
      expect(errnoNumber(name), name).toBe(number);
      expect(errnoName(number)).toBe(name);
    }
  });

  it('have no gap but the two that the kernel left', () => {
    const numbers = Object.values(ERRNO).sort((a, b) => a - b);
    const gaps = Array.from({ length: 133 }, (_, i) => i + 1).filter((number) => !numbers.includes(number as never));
    expect(gaps).toEqual([41, 58]);
    expect(errnoNumber('ENONSENSE')).toBeUndefined();
    expect(errnoNumber('toString')).toBeUndefined();
  });
});

describe('capabilities', () => {
  it('are as many as this kernel has, or it is another kernel’s list', () => {
    const last = Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8'));
    expect(CAPABILITIES.length - 1).toBeGreaterThanOrEqual(Math.min(last, 40));
    expect(CAPABILITIES).toHaveLength(41);
  });

  it('have the numbers of <linux/capability.h>', (ctx) => {
    const header = '/usr/include/linux/capability.h';
    if (!existsSync(header)) ctx.skip('linux-libc-dev is not installed');
    const found = readFileSync(header, 'utf8').matchAll(/^#define (CAP_[A-Z_]+)\s+(\d+)$/gm);
    for (const [, name = '', number] of found) expect(capabilityNumber(name), name).toBe(Number(number));
  });

  it.each([
    [['CAP_CHOWN'], 1n],
    [['chown', 'Cap_Sys_Admin'], 1n | (1n << 21n)],
    [['cap_checkpoint_restore'], 1n << 40n],
    [['ALL'], 0x1ff_ffff_ffffn],
    [[], 0n],
  ])('%j have the mask %s', (names, mask) => {
    expect(capabilityMask(names)).toBe(mask);
  });

  it('go from mask to names and back, also those of a newer kernel', () => {
    expect(capabilityNames(0x3n)).toEqual(['CAP_CHOWN', 'CAP_DAC_OVERRIDE']);
    expect(capabilityMask(capabilityNames(ALL_CAPABILITIES))).toBe(ALL_CAPABILITIES);
    expect(capabilityNames(1n << 41n)).toEqual(['CAP_41']);
  });

  it('that a container keeps are the 14 whose mask everybody knows', () => {
    expect(DEFAULT_CAPABILITIES).toHaveLength(14);
    expect(capabilityMask(DEFAULT_CAPABILITIES)).toBe(parseCapabilityMask('00000000a80425fb'));
  });

  it('read the masks of /proc', () => {
    const shown = /^CapBnd:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    expect(parseCapabilityMask(shown).toString(16)).toBe(shown.replace(/^0+(?=.)/, ''));
    expect(failureOf(() => parseCapabilityMask('0x1')).message).toBe('"0x1" is no capability mask');
  });

  it('refuse what is none', () => {
    expect(failureOf(() => capabilityMask(['CAP_FLY']))).toMatchObject({
      code: 'config',
      message: '"CAP_FLY" is no capability; capabilities(7) lists them',
    });
  });
});

describe('signals', () => {
  it('agree with those that Node knows', () => {
    for (const [name, number] of Object.entries(constants.signals)) expect(parseSignal(name), name).toBe(number);
    for (const [i, name] of SIGNALS.entries()) expect(constants.signals[name], name).toBe(i + 1);
  });

  it.each([
    ['SIGTERM', 15],
    ['TERM', 15],
    ['term', 15],
    ['15', 15],
    [15, 15],
    ['SIGRTMIN', 34],
    ['RTMIN+3', 37],
    ['rtmax-1', 63],
    ['64', 64],
    ['SIGPOLL', 29],
  ])('%j is %i', (text, number) => {
    expect(parseSignal(text)).toBe(number);
  });

  it.each(['0', '65', 'SIGNONE', '', 'SIG', 'RTMIN+31', 'RTMAX+1', '-9', '9.5', '1e1', ' 9'])('%j is none', (text) => {
    expect(failureOf(() => parseSignal(text)).code).toBe('usage');
  });

  it('have names', () => {
    expect([9, 34, 37, 64, 65].map(signalName)).toEqual([
      'SIGKILL',
      'SIGRTMIN',
      'SIGRTMIN+3',
      'SIGRTMIN+30',
      'signal 65',
    ]);
  });
});

describe('resource limits', () => {
  it('have the numbers of <asm-generic/resource.h>', (ctx) => {
    const header = '/usr/include/asm-generic/resource.h';
    if (!existsSync(header)) ctx.skip('linux-libc-dev is not installed');
    const found = [...readFileSync(header, 'utf8').matchAll(/^#\s*define (RLIMIT_[A-Z]+)\s+(\d+)/gm)];
    expect(found).toHaveLength(RLIMITS.length);
    for (const [, name = '', number] of found) expect(RLIMITS[Number(number)]).toBe(name);
  });
});

describe('netlink', () => {
  it('asks for lo to be up by its index', () => {
    // length 32, RTM_NEWLINK, REQUEST|ACK, sequence 1, port 0; then family, type, index 1, flags UP, change UP
    const words = [32, 16 | (5 << 16), 1, 0, 0, 1, 1, 1];
    expect(Buffer.from(setLinkUp(1))).toEqual(Buffer.from(new Uint32Array(words).buffer));
  });

  it('names a device in an attribute, padded', () => {
    const message = Buffer.from(setLinkUp('eth10'));
    expect(message.readUInt32LE(0)).toBe(message.length);
    expect(message.length).toBe(32 + 12);
    expect(message.subarray(32)).toEqual(Buffer.from('\x0a\0\x03\0eth10\0\0\0', 'latin1'));
  });

  it.each(['', '.', '..', 'a/b', 'a b', 'a:1', 'sixteen-letters-'])('refuses the name %j', (name) => {
    expect(() => setLinkUp(name)).toThrow(RangeError);
  });

  it('is understood by the kernel', (ctx) => {
    const script = `
import socket, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
s.send(bytes.fromhex(sys.argv[1]))
print(int.from_bytes(s.recv(4096)[16:20], 'little', signed=True))`;
    if (process.geteuid?.() !== 0) ctx.skip('only root may unshare a network namespace here');
    if (!existsSync('/usr/bin/python3')) ctx.skip('there is no python3 to speak netlink with');
    for (const link of [1, 'lo']) {
      const hex = Buffer.from(setLinkUp(link)).toString('hex');
      const output = execFileSync('unshare', ['--net', 'python3', '-c', script, hex], { encoding: 'utf8' });
      expect(output.trim(), String(link)).toBe('0'); // the acknowledgement's error
    }
    const missing = Buffer.from(setLinkUp('nodevice0')).toString('hex');
    const output = execFileSync('unshare', ['--net', 'python3', '-c', script, missing], { encoding: 'utf8' });
    expect(output.trim()).toBe('-19'); // ENODEV
  });
});
