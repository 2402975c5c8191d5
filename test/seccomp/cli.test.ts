/** `tare seccomp`: its output is caught where it is printed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { seccompCommand } from '../../runtime/cli/seccomp.js';
import { checkProgram, decodeProgram } from '../../runtime/kernel/seccomp/index.js';

const printed = vi.hoisted(() => ({ text: '' }));
vi.mock('../../runtime/cli/print.js', () => ({
  print: async (text: string) => {
    printed.text += text;
  },
}));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-seccomp-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  printed.text = '';
});

async function seccomp(...args: string[]): Promise<string> {
  await seccompCommand().exitOverride().parseAsync(args, { from: 'user' });
  return printed.text;
}

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const PROFILE = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [
    { names: ['mkdir'], action: 'SCMP_ACT_ERRNO', errnoRet: 13, args: [{ index: 1, op: 'SCMP_CMP_EQ', value: 511 }] },
    { names: ['frobnicate'], action: 'SCMP_ACT_KILL' },
  ],
};

test('compile: size, names without effect, listing, file', async () => {
  const profile = file('profile.json', PROFILE);
  expect(await seccomp('compile', profile)).toMatch(/^\d+ instructions, \d+ bytes, flags 0x4\n.*: frobnicate\n$/);
  printed.text = '';
  const output = join(folder, 'out.bpf');
  expect(await seccomp('compile', profile, '--disassemble', '-o', output)).toMatch(/^ *0 {2}ld {2}\[4\] +; arch\n/);
  checkProgram(decodeProgram(readFileSync(output)));
});

test('explain: the answer and the way to it, from a profile or a config.json', async () => {
  for (const path of [file('profile.json', PROFILE), file('config.json', { linux: { seccomp: PROFILE } })]) {
    printed.text = '';
    const text = await seccomp('explain', path, 'mkdir', '0', '0x1ff', '--arch', 'x86_64');
    expect(text).toMatch(
      /^mkdir\(0, 0x1ff\): errno EACCES\ndecided by syscalls\[0\], SCMP_ACT_ERRNO of mkdir where EQ\(argument 1, 511\)\n/,
    );
    expect(text).toMatch(/ret 0x0005000d +; errno EACCES\n$/);
  }
  printed.text = '';
  expect(await seccomp('explain', 'default', '323', '--arch', 'x86_64')).toMatch(/^323\(\): errno EPERM\n/); // userfaultfd
});

test.each<[string, string[], string]>([
  [
    'another argument',
    ['mkdir', '0', '1'],
    'allow\ndecided by defaultAction, SCMP_ACT_ALLOW: no rule of another action holds',
  ],
  ['a call that is in no rule', ['read'], 'allow\ndecided by defaultAction'],
  ['x32, which is not listed', ['read', '--arch', 'x32'], 'kill the process\ndecided by architectures'],
])('explain: %s', async (_, args, says) => {
  expect(await seccomp('explain', file('profile.json', PROFILE), ...args)).toContain(says);
});

test('explain: arguments have 64 bits, in the profile too', async () => {
  const all = '18446744073709551615';
  const profile = file(
    'wide.json',
    `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["personality"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":${all},"op":"SCMP_CMP_EQ"}]}]}`,
  );
  expect(await seccomp('explain', profile, 'personality', '-1')).toContain(
    `errno EPERM\ndecided by syscalls[0], SCMP_ACT_ERRNO of personality where EQ(argument 0, ${all})\n`,
  );
  printed.text = '';
  expect(await seccomp('explain', profile, '0x87', '0xfffffffffffffffe', '--arch', 'x86_64')).toMatch(
    /^0x87\(0xfffffffffffffffe\): allow\n/,
  );
});

test('compile: the listing names system calls, and where those of x32 begin', async () => {
  const profile = file('listed.json', { ...PROFILE, architectures: ['SCMP_ARCH_X86_64'] });
  const listing = await seccomp('compile', profile, '--disassemble');
  expect(listing).toMatch(/jge 0x53, \d+, \d+ +; mkdir\n/);
  expect(listing).toMatch(/jge 0x40000000, \d+, \d+ +; x32\n/);
});

test('explain: a call that the profile cannot have known', async () => {
  const profile = file('strict.json', {
    defaultAction: 'SCMP_ACT_KILL',
    syscalls: [
      { names: ['read', 'write', 'openat2'], action: 'SCMP_ACT_ALLOW' },
      {
        names: ['ioctl'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 1, op: 'SCMP_CMP_MASKED_EQ', value: 255, valueTwo: 1 }],
      },
    ],
  });
  expect(await seccomp('explain', profile, 'mseal')).toContain('errno ENOSYS\ndecided by no rule: the call is newer');
  printed.text = '';
  expect(await seccomp('explain', profile, 'write')).toContain(
    'decided by syscalls[0], SCMP_ACT_ALLOW of read and 2 more\n',
  );
  printed.text = '';
  expect(await seccomp('explain', profile, 'ioctl', '0', '257')).toContain(
    'decided by syscalls[1], SCMP_ACT_ALLOW of ioctl where MASKED_EQ(argument 1, 255, 1)\n',
  );
});

test.each<[string, unknown, string[], RegExp]>([
  ['no file', undefined, ['mkdir'], /cannot be read/],
  ['no JSON', '{', ['mkdir'], /is not valid JSON/],
  ['no object', '[1', ['mkdir'], /is not valid JSON/],
  ['no profile', {}, ['mkdir'], /holds no seccomp profile/],
  ['a wrong type', { defaultAction: 7 }, ['mkdir'], /linux\.seccomp\.defaultAction must be one of .*, not 7/],
  [
    'a wrong action',
    { defaultAction: 'ALLOW' },
    ['mkdir'],
    /linux\.seccomp\.defaultAction must be one of SCMP_ACT_KILL, .*, not "ALLOW"/,
  ],
  ['Docker’s own format', { defaultAction: 'SCMP_ACT_ERRNO', archMap: [] }, ['mkdir'], /Docker's own format/],
  ['no such call', PROFILE, ['frobnicate'], /has no system call "frobnicate"/],
  ['no number', PROFILE, ['mkdir', 'x'], /not a number: "x"/],
  ['too many arguments', PROFILE, ['mkdir', ...'1234567'], /at most six/],
])('%s is one sentence', async (name, content, args, message) => {
  const path = content === undefined ? join(folder, 'nothing') : file(`${name.replaceAll(' ', '-')}.json`, content);
  await expect(seccomp('explain', path, ...args)).rejects.toThrow(message);
});
