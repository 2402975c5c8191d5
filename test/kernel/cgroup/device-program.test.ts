/**
 * The compiler of device rules: against a direct reading of the rules, by a machine of our own; against the verifier and the
 * device hooks of this kernel, in a cgroup of version 2 of its own.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, type TestContext } from 'vitest';
import { compileDeviceProgram } from '../../../runtime/kernel/cgroup/device-program.js';
import {
  DEFAULT_DEVICE_RULES,
  type DeviceRule,
  detectCgroups,
  removeCgroup,
} from '../../../runtime/kernel/cgroup/index.js';
import { failureOf, withFolder } from '../support.js';
import { attachPrograms } from './attach.js';
import { decode, refusal, run } from './ebpf-machine.js';

interface Access {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** Of the letters rwm, in any number. */
  readonly wanted: readonly string[];
}

const compile = (rules: readonly DeviceRule[]) => compileDeviceProgram(rules, 'linux.resources.devices');

/** BPF_DEVCG_ACC_* << 16 | BPF_DEVCG_DEV_*, major, minor: struct bpf_cgroup_dev_ctx. */
function allowedBy(program: Uint8Array, { type, major, minor, wanted }: Access): boolean {
  const access = ['m', 'r', 'w'].reduce((bits, letter, i) => bits | (wanted.includes(letter) ? 1 << i : 0), 0);
  return run(program, [(access << 16) | (type === 'b' ? 1 : 2), major, minor]) === 1;
}

/** The rules as they are meant: of each access that is wanted, the last rule that matches decides; without one it is allowed. */
function allowed(rules: readonly DeviceRule[], { type, major, minor, wanted }: Access): boolean {
  const is = (number: number | undefined, what: number) => number === undefined || number === -1 || number === what;
  return wanted.every((letter) => {
    const last = rules.findLast(
      (rule) =>
        ['a', undefined, type].includes(rule.type) &&
        is(rule.major, major) &&
        is(rule.minor, minor) &&
        (rule.access ?? 'rwm').includes(letter),
    );
    return last?.allow ?? true;
  });
}

// Few numbers, so that rules meet each other and the accesses.
const number = (...some: number[]) => fc.constantFrom(0, 1, 3, ...some);
const anyRule: fc.Arbitrary<DeviceRule> = fc.record(
  {
    allow: fc.boolean(),
    type: fc.constantFrom('a', 'b', 'c'),
    major: number(-1, 0xfff),
    minor: number(-1, 0xfffff),
    access: fc.constantFrom('r', 'w', 'm', 'rw', 'wm', 'mr', 'rwm', 'rr'),
  },
  { requiredKeys: ['allow'] },
);
const anyAccess: fc.Arbitrary<Access> = fc.record({
  type: fc.constantFrom('b', 'c'),
  major: number(0xfff),
  minor: number(0xfffff),
  wanted: fc.subarray(['r', 'w', 'm'], { minLength: 1 }),
});

describe('a device program', () => {
  it('says what the rules say, and is one that the verifier takes', () => {
    fc.assert(
      fc.property(
        fc.array(anyRule, { maxLength: 12 }),
        fc.array(anyAccess, { minLength: 5, maxLength: 20 }),
        (rules, accesses) => {
          const program = compile(rules);
          expect(refusal(program)).toBeUndefined();
          for (const access of accesses) expect(allowedBy(program, access)).toBe(allowed(rules, access));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('is short: what a rule for everything overrules is left out', () => {
    const everything: DeviceRule = { allow: false, access: 'rwm' };
    const rules = [{ allow: true, type: 'c', major: 1, minor: 3 }, everything];
    expect(compile(rules)).toEqual(compile([everything]));
    expect(decode(compile([everything])).length).toBe(8);
    expect(decode(compile(DEFAULT_DEVICE_RULES)).length).toBeLessThan(64);
  });

  it.each([
    [{ allow: true, type: 'x' }, 'type'],
    [{ allow: true, access: 'rx' }, 'access'],
    [{ allow: true, major: 4096 }, 'major'],
    [{ allow: true, minor: -2 }, 'minor'],
    [{ allow: true, minor: 1.5 }, 'minor'],
  ])('refuses %j', (rule, part) => {
    expect(failureOf(() => compile([{ allow: true }, rule]))).toMatchObject({
      code: 'config',
      path: `linux.resources.devices[1].${part}`,
    });
  });

  it('refuses more rules than the kernel takes', () => {
    const rule = (minor: number): DeviceRule => ({ allow: true, type: 'c', major: 1, minor });
    const many = (count: number) => [{ allow: false }, ...Array.from({ length: count }, (_, i) => rule(i))];
    expect(refusal(compile(many(800)))).toBeUndefined();
    expect(failureOf(() => compile(many(900)))).toMatchObject({
      code: 'config',
      message: '901 device rules take 4510 instructions, and the kernel takes at most 4096',
    });
  });
});

async function withCgroup(ctx: TestContext, act: (cgroup: string) => Promise<void>): Promise<void> {
  const hierarchy = detectCgroups().hierarchies.find(({ version }) => version === 2);
  if (!hierarchy) return ctx.skip('this machine has no cgroups of version 2');
  if (process.geteuid?.() !== 0) return ctx.skip('only root may load a device program');
  const cgroup = join(hierarchy.mountPoint, `tare-devices-${process.pid}-${randomBytes(4).toString('hex')}`);
  mkdirSync(cgroup);
  try {
    await act(cgroup);
  } finally {
    await removeCgroup(cgroup, hierarchy.mountPoint, { waitMs: 30_000 });
  }
}

/** A shell that enters the cgroup and then tries each command: whether it went well, or what it said. */
function tryIn(cgroup: string | undefined, folder: string, commands: readonly string[]): string[] {
  const enter = cgroup ? `echo 0 > ${cgroup}/cgroup.procs && ` : '';
  // What is said goes to a file: the shell itself may not be able to open /dev/null any more.
  const tries = commands.map((command) => `if (${command}) > said 2>&1; then echo well; else tail -n 1 said; fi`);
  const script = `${enter}cd ${folder}\n${tries.join('\n')}`;
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/^.*: /, ''));
}

describe('in this kernel', () => {
  it('the verifier takes whatever the compiler makes', (ctx) =>
    withCgroup(ctx, async (cgroup) => {
      // A cgroup has at most 64 programs.
      const samples = fc.sample(fc.array(anyRule, { maxLength: 40 }), 60);
      await attachPrograms(cgroup, ...samples.map(compile), compile(DEFAULT_DEVICE_RULES));
    }));

  it('a disk cannot be opened by a node of one’s own making, and /dev/null can', (ctx) =>
    withCgroup(ctx, (cgroup) =>
      withFolder(async (folder) => {
        const commands = [
          'mknod disk b 7 0',
          ': < disk',
          ': < /dev/null && : > /dev/null && head -c 1 /dev/urandom',
          'mknod kmsg c 1 11 && : < kmsg',
        ];
        // Outside, the kernel lets it be opened, or knows no such disk; it does not forbid it.
        const outside = tryIn(undefined, folder, commands);
        expect(outside).not.toContain('Operation not permitted');
        spawnSync('rm', ['-f', join(folder, 'disk'), join(folder, 'kmsg')]);
        await attachPrograms(cgroup, compile(DEFAULT_DEVICE_RULES));
        expect(tryIn(cgroup, folder, commands)).toEqual([
          'well',
          'Operation not permitted',
          'well',
          'Operation not permitted',
        ]);
      }),
    ));

  it('reading, writing and making are told apart, and the last rule wins', (ctx) =>
    withCgroup(ctx, (cgroup) =>
      withFolder(async (folder) => {
        const rules: DeviceRule[] = [
          { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
          { allow: false, type: 'c', major: 1, minor: 3, access: 'w' },
          { allow: false, type: 'b', access: 'm' },
          { allow: false, type: 'c', major: 1, minor: 5 },
          { allow: true, type: 'c', major: 1, minor: 5, access: 'r' },
        ];
        await attachPrograms(cgroup, compile(rules));
        const commands = [
          ': < /dev/null',
          ': > /dev/null',
          ': <> /dev/null',
          'mknod block b 254 0',
          'mknod null c 1 3',
          ': < /dev/zero',
          ': > /dev/zero',
          ': < /dev/full',
        ];
        const no = 'Operation not permitted';
        expect(tryIn(cgroup, folder, commands)).toEqual(['well', no, no, no, 'well', 'well', no, 'well']);
      }),
    ));

  it('a program that the verifier refuses is a failure with its system call', (ctx) =>
    withCgroup(ctx, async (cgroup) => {
      await expect(attachPrograms(cgroup, new Uint8Array(8))).rejects.toThrow(/bpf BPF_PROG_LOAD.*EINVAL/);
    }));
});
