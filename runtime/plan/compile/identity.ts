/**
 * Who the process is and what it may do. The order matters: the bounding set while CAP_SETPCAP is there, the groups while
 * CAP_SETGID is, then the user, which by itself would take all capabilities (so they are kept over it), then exactly the sets
 * that are asked for. capabilities(7), "Effect of user ID changes on capabilities".
 */
import { CAPABILITIES, capabilityNames } from '../../kernel/capabilities.js';
import { annotation, type Capabilities } from '../../oci/index.js';
import { PR_SET_KEEPCAPS } from './abi.js';
import { type Compilation, has, joins } from './compilation.js';
import { keepsGroups } from './id-maps.js';

export function becomeUser(compilation: Compilation): void {
  const { builder, process } = compilation;
  const { user, capabilities } = process;
  const sets = capabilitySets(compilation, capabilities ?? {});
  const caps = builder.inside.for('process.capabilities');
  const inside = builder.inside.for('process.user');

  caps.cap_bound({ keep: sets.bounding }, 'the most that this process and its children can ever get, by any program');
  setGroups(compilation);
  inside.setresgid({ real: user.gid, effective: user.gid, saved: user.gid }, `group ${user.gid}, with no way back`);
  inside.prctl(
    { option: PR_SET_KEEPCAPS, arg2: 1, arg3: 0, arg4: 0, arg5: 0 },
    'a change of user would drop every capability, also those it is to have',
  );
  inside.setresuid({ real: user.uid, effective: user.uid, saved: user.uid }, `user ${user.uid}, with no way back`);
  caps.capset(
    { effective: sets.effective, permitted: sets.permitted, inheritable: sets.inheritable },
    sets.inheritable === 0n ? 'its capabilities; none is inheritable (CVE-2022-29162)' : 'its capabilities',
  );
  caps.cap_ambient({ raise: sets.ambient }, 'those that survive the start of a program without file capabilities');
}

/** Groups that it can have are those of the caller or those of the configuration, never both. */
function setGroups(compilation: Compilation): void {
  const { builder, config, process, warnings } = compilation;
  const { additionalGids = [] } = process.user;
  const asked = KEEP_GROUPS.test(annotation(config, 'run.oci.keep_original_groups') ?? '');
  if (asked || keepsGroups(compilation)) {
    const why = asked ? 'the caller’s groups are to be kept' : 'a user who is not root may not set groups';
    if (additionalGids.length > 0) warnings.push(`process.user.additionalGids is left out: ${why}`);
    return;
  }
  const gids = Buffer.alloc(4 * additionalGids.length);
  additionalGids.forEach((gid, i) => void gids.writeUInt32LE(gid, 4 * i));
  const why = gids.length === 0 ? 'none of the caller’s groups is kept' : 'its additional groups';
  // Whoever made a namespace that is joined may have given up setgroups in it: then there is nobody's group to drop by it.
  const tolerate = gids.length === 0 && joins(compilation, 'user') ? ['EPERM'] : [];
  builder.inside.for('process.user').setgroups({ gids }, { why, tolerate });
}

const KEEP_GROUPS = /^(1|true|yes)$/i;

/**
 * A program of another user could not open /dev/stdout anew, as long as the pipes belong to who made them. Before the filter and the change
 * of user, which would forbid it.
 */
export function ownStdio({ builder, process }: Compilation): void {
  const { uid } = process.user;
  if (uid === 0) return;
  builder.inside
    .for('process.user.uid')
    .own_stdio({ uid }, 'pipes and files on 0, 1 and 2 are its own: it may open /dev/stdout');
}

interface Masks {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/** The masks, without what the kernel would not grant: each thing left out is a warning, as config.md wants. */
function capabilitySets(compilation: Compilation, capabilities: Capabilities): Masks {
  // Whoever makes or enters a user namespace has all capabilities in it; otherwise nobody gives what they do not have.
  const available = has(compilation, 'user') ? compilation.caller.allCapabilities : compilation.caller.capabilities;
  const mask = (set: keyof Capabilities, within: bigint, why: string): bigint => {
    const asked = (capabilities[set] ?? []).reduce((all, name) => all | bitOf(compilation, set, name), 0n);
    const missing = capabilityNames(asked & ~within);
    if (missing.length > 0) {
      const are = missing.length === 1 ? 'is' : 'are';
      compilation.warnings.push(`process.capabilities.${set}: ${missing.join(', ')} ${are} left out: ${why}`);
    }
    return asked & within;
  };
  const bounding = mask('bounding', available, 'not in the bounding set of the caller');
  const permitted = mask('permitted', available, 'the caller does not have as much');
  const effective = mask('effective', permitted, 'not permitted');
  const inheritable = mask('inheritable', bounding, 'not in the bounding set');
  const ambient = ambientOf(compilation, capabilities.ambient ?? [], permitted & inheritable);
  return { bounding, effective, permitted, inheritable, ambient };
}

/** One warning each, as other runtimes word it: the kernel raises them one by one. */
function ambientOf(compilation: Compilation, names: readonly string[], within: bigint): bigint {
  const asked = names.reduce((all, name) => all | bitOf(compilation, 'ambient', name), 0n);
  for (const name of capabilityNames(asked & ~within)) {
    compilation.warnings.push(
      `process.capabilities.ambient: can't raise ambient capability ${name}: not permitted and inheritable`,
    );
  }
  return asked & within;
}

function bitOf(compilation: Compilation, set: string, name: string): bigint {
  const bit = (CAPABILITIES as readonly string[]).indexOf(name);
  if (bit >= 0) return 1n << BigInt(bit);
  compilation.warnings.push(`process.capabilities.${set}: there is no capability "${name}"; it is left out`);
  return 0n;
}
