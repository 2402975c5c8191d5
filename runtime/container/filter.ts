/** The seccomp filter of a container, from config.json's profile: compiled by Tare's own compiler. seccomp(2). */
import { DEFAULT_CAPABILITIES } from '../kernel/capabilities.js';
import { type CompiledFilter, compileSeccomp, defaultProfile } from '../kernel/seccomp/index.js';
import type { Seccomp } from '../oci/index.js';

/** Compiling takes about a millisecond, and most containers of a process have the same profile. */
const compiled = new WeakMap<Seccomp, CompiledFilter>();

/** @throws TareError `config`, with the path of the field */
export function compileFilter(profile: Seccomp | undefined): CompiledFilter | null {
  if (profile === undefined) return null;
  const filter = compiled.get(profile) ?? compileSeccomp(profile);
  compiled.set(profile, filter);
  return filter;
}

let standard: Seccomp | undefined;

/** The profile of a container with the default capabilities; always the same object. */
export function standardProfile(): Seccomp {
  standard ??= defaultProfile({ capabilities: DEFAULT_CAPABILITIES });
  return standard;
}
