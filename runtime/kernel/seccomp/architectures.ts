/**
 * The architectures that a filter can tell apart, with their system call tables. One kernel answers several: x86_64 also runs
 * x86 (int 0x80) and x32 calls, and a filter that forgets them is no filter. x32 shares its AUDIT_ARCH with x86_64 and sets
 * bit 30 of the number (seccomp(2), <linux/audit.h>).
 */
import { TareError } from '../error.js';
import { SYSCALL_LISTS } from './syscalls.gen.js';

export type Architecture = keyof typeof SYSCALL_LISTS;

/** __X32_SYSCALL_BIT of <asm/unistd.h>. */
export const X32_BIT = 0x40000000;

/** EM_* with __AUDIT_ARCH_64BIT and __AUDIT_ARCH_LE. */
export const AUDIT_ARCH: Readonly<Record<Architecture, number>> = {
  x86_64: 0xc000003e,
  x86: 0x40000003,
  x32: 0xc000003e,
  arm64: 0xc00000b7,
};

const OCI_NAMES: Readonly<Record<string, Architecture>> = {
  SCMP_ARCH_X86_64: 'x86_64',
  SCMP_ARCH_X86: 'x86',
  SCMP_ARCH_X32: 'x32',
  SCMP_ARCH_AARCH64: 'arm64',
};

/** In the specification, but without a table here. Their calls are refused like those of every architecture not listed. */
const WITHOUT_TABLE = new Set(
  'ARM LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 SH SHEB'
    .split(' ')
    .map((name) => `SCMP_ARCH_${name}`),
);

/** As the specification names them. */
export const ARCHITECTURE_NAMES: readonly string[] = [...Object.keys(OCI_NAMES), ...WITHOUT_TABLE];

/**
 * The architecture of an OCI name; null for one that no machine Tare runs on answers.
 *
 * @throws TareError `config` for a name that the specification does not have.
 */
export function architectureOf(name: string, path: string): Architecture | null {
  const known = OCI_NAMES[name];
  if (known) return known;
  if (WITHOUT_TABLE.has(name)) return null;
  throw new TareError('config', `${path}: there is no architecture ${JSON.stringify(name)}`, { path });
}

/** What this Node runs on. @throws TareError `unsupported`. */
export function nativeArchitecture(): Architecture {
  if (process.arch === 'x64') return 'x86_64';
  if (process.arch === 'arm64') return 'arm64';
  throw new TareError('unsupported', `Tare has no system call table for ${process.arch}`);
}

const tables = new Map<Architecture, ReadonlyMap<string, number>>();

/** Numbers by name. Parsed when first asked for. */
export function syscallTable(architecture: Architecture): ReadonlyMap<string, number> {
  let table = tables.get(architecture);
  if (!table) {
    const pairs = SYSCALL_LISTS[architecture].split(' ').map((pair): [string, number] => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), Number(pair.slice(at + 1))];
    });
    table = new Map(pairs);
    tables.set(architecture, table);
  }
  return table;
}

/** The name of a system call by AUDIT_ARCH and number; undefined for a number that has none. */
export function syscallName(auditArch: number, number: number): string | undefined {
  const isX32 = auditArch === AUDIT_ARCH.x32 && number >= X32_BIT;
  const architecture = (Object.keys(AUDIT_ARCH) as Architecture[]).find(
    (name) => AUDIT_ARCH[name] === auditArch && (name === 'x32') === isX32,
  );
  if (!architecture) return undefined;
  for (const [name, value] of syscallTable(architecture)) if (value === number) return name;
  return undefined;
}
