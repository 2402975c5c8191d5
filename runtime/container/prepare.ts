/**
 * From a bundle to a plan: what the compiler is given besides the bundle is found out here. Nothing is made yet, so a
 * bundle that cannot be run is refused while there is nothing to undo; `tare plan` stops here.
 */
import { statSync } from 'node:fs';
import type { CgroupPlan } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import { type Features, probeFeatures } from '../kernel/features.js';
import { type Bundle, refuseChangesOfHost, refuseUnsupported } from '../oci/index.js';
import { type Caller, type Compiled, type CompileInput, compileCreate, type JoinedNamespaces } from '../plan/index.js';
import { thisCaller } from './caller.js';
import { cgroupOf } from './cgroup.js';
import { compileFilter } from './filter.js';
import { withHome } from './home.js';
import { checkIdHelpers } from './id-helpers.js';
import { examineNamespaces } from './joined.js';
import { netDevicesOf } from './net-devices.js';

/** What of it is not found out here goes to the compiler as it is: see `CompileInput`. */
export interface PrepareOptions
  extends Pick<
    CompileInput,
    'bundle' | 'id' | 'gate' | 'init' | 'preserveFds' | 'noPivot' | 'noNewKeyring' | 'keyring'
  > {
  /** What the kernel can do; asked for unless given. A poorer value tests the fallbacks. */
  readonly features?: Features;
  readonly caller?: Caller;
  /** False: the container gets a cgroup or is refused. True, and unless told: who may not make one does without, if nothing is limited. */
  readonly rootless?: boolean;
  /** systemd makes the cgroup: `linux.cgroupsPath` is then `slice:prefix:name`. */
  readonly systemdCgroup?: boolean;
  /** What is known of the namespaces that are joined by path; looked at unless given. */
  readonly joined?: JoinedNamespaces;
}

/** What will be made: the plan, the bundle as it was completed (HOME), and the cgroup. */
export interface Prepared extends Compiled {
  readonly bundle: Bundle;
  readonly cgroup: CgroupPlan | null;
}

/** @throws TareError for everything about the bundle that can be known before anything is made */
export function prepare(options: PrepareOptions): Prepared {
  const { id } = options;
  refuseUnsupported(options.bundle.config);
  const features = options.features ?? probeFeatures();
  const caller = options.caller ?? thisCaller();
  // That of an overlay is made with the container.
  if (!options.bundle.overlay) checkRootfs(options.bundle);
  const bundle = withHome(options.bundle);
  const joined = options.joined ?? examineNamespaces(bundle.config);
  checkRights(bundle, features, caller, joined);
  checkIdHelpers(bundle.config, caller);
  refuseChangesOfHost(bundle.config, joined.own);
  const warnings: string[] = [];
  const cgroup = cgroupOf(bundle, id, features, caller, warnings, options);
  const compiled = compileCreate({
    bundle,
    id,
    features,
    cgroup,
    filter: compileFilter(bundle.config.linux?.seccomp),
    caller,
    joined,
    netDevices: netDevicesOf(bundle.config, features, caller),
    init: options.init,
    gate: options.gate,
    preserveFds: options.preserveFds,
    noPivot: options.noPivot,
    noNewKeyring: options.noNewKeyring,
    keyring: options.keyring,
  });
  // As it was given: what `exec` starts has a home of its own.
  return { bundle: options.bundle, cgroup, plan: compiled.plan, warnings: [...warnings, ...compiled.warnings] };
}

function checkRootfs({ rootfs }: Bundle): void {
  let directory: boolean;
  try {
    directory = statSync(rootfs).isDirectory();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const what = code === 'ENOENT' || code === 'ENOTDIR' ? 'does not exist' : `cannot be reached (${code})`;
    throw new TareError('not-found', `the root file system ${rootfs} ${what}`, { cause, path: 'root.path' });
  }
  if (!directory)
    throw new TareError('config', `the root file system ${rootfs} is not a directory`, { path: 'root.path' });
}

function checkRights({ config }: Bundle, features: Features, caller: Caller, { own }: JoinedNamespaces): void {
  const users = config.linux?.namespaces?.find((n) => n.type === 'user');
  const ownUsers = users !== undefined && !(users.path && own.has('user'));
  if (ownUsers && !users.path && !features.userNamespaces) {
    throw new TareError('permission', 'this machine lets nobody make a user namespace, which the container asks for');
  }
  if (caller.uid === 0 || ownUsers) return;
  const how = features.userNamespaces
    ? 'add a user namespace with mappings to linux.namespaces'
    : 'and this machine lets only root make user namespaces';
  throw new TareError('permission', `a container without a user namespace needs root: ${how}`);
}
