/**
 * Which process `exec` starts: what a process.json says, or the container's own process with another command and what else is asked
 * for; what neither says is as the container has it. runc-exec(8); config.md#process.
 */
import { TareError } from '../kernel/error.js';
import { type Capabilities, type Config, type Process, type User, validProcess } from '../oci/index.js';

/** What differs from the container's own process. */
export interface ProcessChanges {
  readonly args: readonly string[];
  /** Added; a name that is there already gets the new value. */
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly user?: Pick<User, 'uid'> & Partial<User>;
  readonly additionalGids?: readonly number[];
  /** Added to those that it has. */
  readonly capabilities?: readonly string[];
  readonly terminal?: boolean;
  readonly consoleSize?: Process['consoleSize'];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
}

/** The container's own process, changed. @throws TareError `config` for what cannot be, `usage` without a command */
export function changedProcess(config: Config, changes: ProcessChanges): Process {
  const own = config.process;
  if (changes.args.length === 0) throw new TareError('usage', 'exec args cannot be empty: give a command to run');
  const { user = own?.user ?? { uid: 0, gid: 0 }, terminal = false } = changes;
  const gids = [...(own?.user.additionalGids ?? []), ...(changes.additionalGids ?? [])];
  const { consoleSize: _, ...rest } = own ?? { cwd: '/' };
  const process: Process = {
    ...rest,
    args: [...changes.args],
    env: mergedEnv(own?.env ?? [], changes.env ?? []),
    cwd: changes.cwd ?? own?.cwd ?? '/',
    user: { gid: 0, ...own?.user, ...user, ...(gids.length > 0 && { additionalGids: gids }) },
    terminal,
    ...(terminal && changes.consoleSize && { consoleSize: changes.consoleSize }),
    ...(changes.noNewPrivileges !== undefined && { noNewPrivileges: changes.noNewPrivileges }),
    ...(changes.apparmorProfile && { apparmorProfile: changes.apparmorProfile }),
    ...(changes.selinuxLabel && { selinuxLabel: changes.selinuxLabel }),
    ...(changes.capabilities?.length && {
      capabilities: withCapabilities(own?.capabilities ?? {}, changes.capabilities),
    }),
  };
  return validProcess(process, config.linux, 'the process to start');
}

/** A process that somebody else has described, with what the container's own has where it says nothing. */
export function completedProcess(process: Process, { process: own }: Config): Process {
  const { rlimits, capabilities, apparmorProfile, selinuxLabel, scheduler, ioPriority, execCPUAffinity } = own ?? {};
  return {
    ...process,
    ...(!process.rlimits?.length && rlimits && { rlimits }),
    ...(!process.capabilities && capabilities && { capabilities }),
    ...(!process.apparmorProfile && apparmorProfile && { apparmorProfile }),
    ...(!process.selinuxLabel && selinuxLabel && { selinuxLabel }),
    ...(!process.scheduler && scheduler && { scheduler }),
    ...(!process.ioPriority && ioPriority && { ioPriority }),
    ...(!process.execCPUAffinity && execCPUAffinity && { execCPUAffinity }),
  };
}

function mergedEnv(own: readonly string[], added: readonly string[]): string[] {
  const names = new Set(added.map(nameOf));
  return [...own.filter((entry) => !names.has(nameOf(entry))), ...added];
}

function nameOf(entry: string): string {
  return entry.slice(0, entry.indexOf('='));
}

/** Ambient ones need inheritable ones, which are never added (CVE-2022-29162): only where the container has some. */
function withCapabilities(own: Capabilities, added: readonly string[]): Capabilities {
  const sets = ['bounding', 'effective', 'permitted', ...(own.inheritable ? ['ambient'] : [])] as const;
  const more = sets.map((set) => [set, [...new Set([...(own[set as keyof Capabilities] ?? []), ...added])]]);
  return { ...own, ...Object.fromEntries(more) };
}
