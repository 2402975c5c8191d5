/**
 * Which rule of a profile decides about a system call. Read from the rules, not from the program: so it is a second opinion on what
 * the compiled filter answers, and a test holds the two together.
 */
import { AUDIT_ARCH, X32_BIT } from './architectures.js';
import type { SeccompData } from './interpret.js';
import { type Condition, type Policy, resolveProfile, type SeccompProfile } from './profile.js';

export interface Decision {
  /** `rule`: one of the profile's; `default`: none of them; `newer`: a call that the profile cannot have known; `architecture`: made in a way that it does not list. */
  readonly by: 'rule' | 'default' | 'newer' | 'architecture';
  /** Which of `syscalls`, from 0. */
  readonly rule?: number;
}

/** @throws TareError `config`, as `compileSeccomp` does */
export function decide(
  profile: SeccompProfile,
  data: SeccompData,
  options?: Parameters<typeof resolveProfile>[1],
): Decision {
  const policy = resolveProfile(profile, options);
  const architecture = architectureOf(policy, data);
  if (architecture === 'skipped') return { by: 'default' };
  if (architecture === undefined) return { by: 'architecture' };
  const rules = architecture.rules.get(data.nr) ?? [];
  const rule = rules.find(({ conditions }) => conditions.every((condition) => holds(condition, data)));
  if (rule) return { by: 'rule', rule: rule.source };
  const isNewer = architecture.newest !== null && data.nr > architecture.newest;
  return { by: isNewer && architecture.newerReturn !== policy.defaultReturn ? 'newer' : 'default' };
}

type Listed = Policy['architectures'][number];

function architectureOf({ architectures }: Policy, { arch, nr }: SeccompData): Listed | 'skipped' | undefined {
  // Of a machine of x86 without the 64 bit one there is no filter here: the machine's own is always listed.
  const speaks64 =
    arch === AUDIT_ARCH.x86_64 && architectures.some(({ architecture }) => AUDIT_ARCH[architecture] === arch);
  // What a tracer writes to skip a call.
  if (speaks64 && nr === 0xffff_ffff) return 'skipped';
  const isX32 = speaks64 && nr >= X32_BIT;
  return architectures.find(
    ({ architecture }) => AUDIT_ARCH[architecture] === arch && (architecture === 'x32') === isX32,
  );
}

function holds({ index, op, value, valueTwo }: Condition, { args }: SeccompData): boolean {
  const argument = args[index] ?? 0n;
  switch (op) {
    case 'EQ':
      return argument === value;
    case 'NE':
      return argument !== value;
    case 'LT':
      return argument < value;
    case 'LE':
      return argument <= value;
    case 'GE':
      return argument >= value;
    case 'GT':
      return argument > value;
    case 'MASKED_EQ':
      return (argument & value) === valueTwo;
  }
}
