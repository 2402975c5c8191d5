/**
 * `tare seccomp compile` makes the BPF program of a profile, `tare seccomp explain` says what the filter answers to one system
 * call, and by which instructions. A profile is a file with the `linux.seccomp` object, a config.json that has one, or
 * `default`: what `tare run` uses.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { DEFAULT_CAPABILITIES } from '../kernel/capabilities.js';
import { TareError } from '../kernel/error.js';
import {
  type Architecture,
  AUDIT_ARCH,
  compileSeccomp,
  type Decision,
  decide,
  defaultProfile,
  describeReturn,
  disassemble,
  interpret,
  type SeccompProfile,
  type SyscallRule,
  syscallTable,
} from '../kernel/seccomp/index.js';
import { checkConfig, parseDocument } from '../oci/index.js';
import { print } from './print.js';

const ARCHITECTURES: readonly Architecture[] = ['x86_64', 'x86', 'x32', 'arm64'];

export function seccompCommand(): Command {
  const command = new Command('seccomp').description('Compile a seccomp profile, or explain what it answers');
  command
    .command('compile')
    .description('make the BPF program of a profile')
    .argument('<profile>', 'a file, or "default"')
    .option('--disassemble', 'print the instructions')
    .option('-o, --output <file>', 'write the program: an array of struct sock_filter')
    .action((profile: string, options: { disassemble?: boolean; output?: string }) =>
      print(`${compile(profile, options).join('\n')}\n`),
    );
  command
    .command('explain')
    .description('say what the filter answers to a system call')
    .argument('<profile>', 'a file, or "default"')
    .argument('<syscall>', 'its name or number, 0x for hexadecimal')
    .argument('[args...]', 'its arguments: numbers, 0x for hexadecimal; missing ones are 0')
    .addOption(new Option('--arch <name>', 'how the call is made').choices(ARCHITECTURES).default(native()))
    .action((profile: string, syscall: string, args: string[], options: { arch: Architecture }) =>
      print(`${explain(profile, syscall, args, options.arch).join('\n')}\n`),
    );
  return command;
}

function compile(name: string, { disassemble: list, output }: { disassemble?: boolean; output?: string }): string[] {
  const { program, instructions, unknown, flags } = compileSeccomp(readProfile(name));
  if (output !== undefined) write(output, program);
  if (list) return disassemble(program);
  return [
    `${instructions} instructions, ${program.length} bytes, flags 0x${flags.toString(16)}`,
    ...(unknown.length > 0 ? [`without effect, since no architecture has them: ${unknown.join(' ')}`] : []),
  ];
}

function explain(name: string, syscall: string, args: readonly string[], arch: Architecture): string[] {
  const nr = /^(\d+|0x[0-9a-f]+)$/i.test(syscall) ? Number(syscall) : syscallTable(arch).get(syscall);
  if (nr === undefined || nr > 0xffffffff)
    throw new TareError('usage', `${arch} has no system call ${JSON.stringify(syscall)}`);
  if (args.length > 6) throw new TareError('usage', 'a system call has at most six arguments');
  const profile = readProfile(name);
  const options = { native: arch === 'arm64' ? 'arm64' : native() } as const;
  const { program } = compileSeccomp(profile, options);
  const listing = disassemble(program);
  const path: string[] = [];
  const data = { nr, arch: AUDIT_ARCH[arch], args: args.map(argument) };
  const answer = interpret(program, data, (position) => path.push(listing[position] ?? ''));
  return [
    `${syscall}(${args.join(', ')}): ${describeReturn(answer)}`,
    `decided by ${decider(profile, decide(profile, data, options))}`,
    ...path.map((line) => `  ${line}`),
  ];
}

function decider(profile: SeccompProfile, { by, rule = 0 }: Decision): string {
  switch (by) {
    case 'architecture':
      return 'architectures: calls made in this way are none that it lists';
    case 'newer':
      return 'no rule: the call is newer than all that it names, which programs take for a kernel without it';
    case 'default':
      return `defaultAction, ${profile.defaultAction}: no rule of another action holds`;
    case 'rule':
      return `syscalls[${rule}]${ruleText(profile.syscalls?.[rule])}`;
  }
}

function ruleText(rule: SyscallRule | undefined): string {
  if (rule === undefined) return '';
  const [first = '', ...more] = rule.names;
  const names = more.length === 0 ? first : `${first} and ${more.length} more`;
  const conditions = (rule.args ?? []).map(({ index, op, value, valueTwo }) => {
    const masked = op === 'SCMP_CMP_MASKED_EQ' ? `, ${valueTwo ?? 0}` : '';
    return `${op.replace('SCMP_CMP_', '')}(argument ${index}, ${value}${masked})`;
  });
  return `, ${rule.action} of ${names}${conditions.length > 0 ? ` where ${conditions.join(', ')}` : ''}`;
}

function argument(text: string): bigint {
  if (!/^-?(0x[0-9a-f]+|\d+)$/i.test(text)) throw new TareError('usage', `not a number: ${JSON.stringify(text)}`);
  return BigInt.asUintN(64, text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text));
}

function readProfile(name: string): SeccompProfile {
  if (name === 'default') return defaultProfile({ capabilities: DEFAULT_CAPABILITIES });
  const value = parse(name);
  const profile = 'defaultAction' in value ? value : (value.linux as { seccomp?: unknown } | undefined)?.seccomp;
  if (profile === undefined) {
    throw new TareError('config', `${name} holds no seccomp profile: neither defaultAction nor linux.seccomp`, {
      path: name,
    });
  }
  if (profile !== null && typeof profile === 'object' && 'archMap' in profile) {
    throw new TareError(
      'config',
      `${name} is in Docker's own format (archMap, includes): it is no profile before dockerd has resolved it`,
    );
  }
  const { config, faults } = checkConfig({ ociVersion: '1.2.0', linux: { seccomp: profile } });
  const fault = faults.find(({ path }) => path.startsWith('linux.seccomp'));
  if (fault) throw new TareError('config', `${name}: ${fault.path} ${fault.message}`, { path: fault.path });
  if (!config.linux?.seccomp) throw new TareError('config', `${name} holds no seccomp profile`, { path: name });
  return config.linux.seccomp;
}

function parse(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new TareError('not-found', `${file} cannot be read: ${(cause as Error).message}`, { cause, path: file });
  }
  // Arguments have 64 bits, which JSON.parse would round.
  const value = parseDocument(text, file);
  if (value !== null && typeof value === 'object') return value as Record<string, unknown>;
  throw new TareError('config', `${file} is not a JSON object`, { path: file });
}

function write(file: string, program: Uint8Array): void {
  try {
    writeFileSync(file, program);
  } catch (cause) {
    throw new TareError('system-call', `${file} cannot be written: ${(cause as Error).message}`, { cause, path: file });
  }
}

function native(): Architecture {
  return process.arch === 'arm64' ? 'arm64' : 'x86_64';
}
