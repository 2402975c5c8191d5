/**
 * The filters in the kernel itself: it takes them, and answers what the interpreter says. A small C program (probe.c) makes
 * the calls, since a refused process can hardly speak.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import {
  AUDIT_ARCH,
  compileSeccomp,
  defaultFilter,
  interpret,
  nativeArchitecture,
  type SeccompData,
  syscallTable,
} from '../../runtime/kernel/seccomp/index.js';
import { calls, profiles, refusing } from './oracle.js';

let folder: string;
let probe: string | undefined;
let why = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-seccomp-'));
  const source = fileURLToPath(new URL('probe.c', import.meta.url));
  const built = spawnSync('cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', join(folder, 'probe'), source], {
    encoding: 'utf8',
  });
  if (built.error) why = 'needs a C compiler';
  else if (nativeArchitecture() !== 'x86_64') why = 'the probe speaks x86_64';
  else expect(built.stderr).toBe('');
  if (!why) probe = join(folder, 'probe');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function ready(ctx: TestContext): string {
  return probe ?? ctx.skip(why);
}

/** What the kernel answers to each call under the filter. */
function ask(program: string, filter: Uint8Array, list: readonly SeccompData[]): string[] {
  const file = join(folder, 'filter');
  writeFileSync(file, filter);
  const questions = list.map(({ nr, arch, args }) => {
    const abi = arch === AUDIT_ARCH.x86 ? 32 : 64;
    return [abi, nr.toString(16), ...args.map((arg) => arg.toString(16))].join(' ');
  });
  const output = execFileSync(program, ['ask', file], { input: `${questions.join('\n')}\n`, encoding: 'utf8' });
  return output.trimEnd().split('\n');
}

/** The same, from what the interpreter returns. */
function foretell(filter: Uint8Array, data: SeccompData): string {
  const value = interpret(filter, data);
  return (value & 0x7fff0000) >>> 0 === 0x00050000 ? `errno ${value & 0xffff}` : 'signal 31'; // SIGSYS
}

test('any filter: the kernel takes it and answers as the interpreter does', (ctx) => {
  const program = ready(ctx);
  const hasX86 = ask(
    program,
    compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_X86'] }).program,
    [{ nr: 20, arch: AUDIT_ARCH.x86, args: [0n, 0n, 0n, 0n, 0n, 0n] }],
  );
  fc.assert(
    fc.property(
      profiles(refusing).chain((profile) =>
        fc.tuple(fc.constant(profile), fc.array(calls(profile), { minLength: 30, maxLength: 30 })),
      ),
      ([profile, list]) => {
        const filter = compileSeccomp(profile).program;
        const asked = list
          .filter(({ arch }) => arch === AUDIT_ARCH.x86_64 || (arch === AUDIT_ARCH.x86 && hasX86[0] === 'return'))
          // int 0x80 has registers of 32 bits, and the probe gives it five.
          .map((data) =>
            data.arch === AUDIT_ARCH.x86
              ? { ...data, args: [...data.args.slice(0, 5).map((a) => a & 0xffffffffn), 0n] }
              : data,
          )
          // uretprobe and uprobe come from the kernel's own trampolines: since Linux 6.14 no filter is asked about them.
          .filter(({ nr, arch }) => arch === AUDIT_ARCH.x86 || (nr !== 335 && nr !== 336));
        fc.pre(asked.length > 0);
        expect(ask(program, filter, asked)).toEqual(asked.map((data) => foretell(filter, data)));
      },
    ),
    { numRuns: 25 },
  );
});

const run = (program: string, filter: Uint8Array, ...command: string[]) => {
  const file = join(folder, 'filter');
  writeFileSync(file, filter);
  return spawnSync(program, ['exec', file, ...command], { encoding: 'utf8' });
};

test('under the default filter ordinary programs run', (ctx) => {
  const program = ready(ctx);
  const { program: filter } = defaultFilter({ capabilities: [] });
  expect(run(program, filter, 'ls', '/').stdout).toContain('proc');
  expect(run(program, filter, 'sh', '-c', 'echo $(( $(cat /etc/passwd | wc -l) > 0 ))').stdout).toBe('1\n');
  const threads = 'new (require("worker_threads").Worker)("console.log(6*7)", { eval: true })';
  expect(run(program, filter, process.execPath, '-e', threads).stdout).toBe('42\n');
});

test('and namespaces, mounts and keyrings are out of reach, also for root', (ctx) => {
  const program = ready(ctx);
  const { program: filter } = defaultFilter({ capabilities: [] });
  const attempt = (name: string, ...args: bigint[]) => {
    const all = Array.from({ length: 6 }, (_, i) => args[i] ?? 0n);
    return ask(program, filter, [
      { nr: syscallTable('x86_64').get(name) as number, arch: AUDIT_ARCH.x86_64, args: all },
    ])[0];
  };
  expect(run(program, filter, 'unshare', '--user', 'true').status).not.toBe(0);
  expect(attempt('unshare', 0x10000000n)).toBe('errno 1');
  expect(attempt('mount')).toBe('errno 1');
  expect(attempt('keyctl')).toBe('errno 1');
  expect(attempt('clone3')).toBe('errno 38');
  expect(attempt('ioctl', 0n, 0x1_0000_5412n)).toBe('errno 5');
  expect(attempt('socket', 0x1_0000_0028n, 1n)).toBe('errno 1');
  expect(attempt('getpid')).toBe('return');
});
