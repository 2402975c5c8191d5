/**
 * Scopes of systemd: a cgroup that systemd makes for processes that somebody else has started, and leaves to that somebody
 * (`Delegate`). On a machine that systemd manages, nobody else may make cgroups outside of such. systemd.scope(5),
 * https://systemd.io/CONTROL_GROUP_INTERFACE/
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupLimits, CgroupPlace } from '../cgroup/types.js';
import { TareError } from '../error.js';
import { DBusFailure, SystemdConnection } from './connection.js';
import { limitProperties, type Property } from './properties.js';
import type { Scope } from './scope-name.js';

const MANAGER = { path: '/org/freedesktop/systemd1', interface: 'org.freedesktop.systemd1.Manager' } as const;
/** A job of systemd takes milliseconds; a machine under load may take longer. */
const JOB_MS = 30_000;

/** @throws TareError `unsupported` where no systemd runs */
export function checkSystemd(uid: number): void {
  if (!existsSync('/run/systemd/system'))
    throw new TareError(
      'unsupported',
      'systemd not running on this host, so --systemd-cgroup cannot be had: there is no /run/systemd/system. Without the option, Tare makes cgroups itself',
    );
  const socket = socketOf(uid);
  if (!existsSync(socket))
    throw new TareError(
      'unsupported',
      `systemd cannot be reached: there is no ${socket}${uid === 0 ? '' : '; a user has a manager of their own after a login (pam_systemd), or with loginctl enable-linger'}`,
      { path: socket },
    );
}

/** Makes the scope with a process in it, and waits until it is there. @param more properties that the configuration names */
export async function startScope(
  scope: Scope,
  pid: number,
  limits: CgroupLimits,
  version: 1 | 2,
  more: readonly Property[] = [],
): Promise<void> {
  const flag = (name: string, value = true): Property => [name, { signature: 'b', value }];
  const properties: Property[] = [
    ['Description', { signature: 's', value: `container ${scope.unit}` }],
    ['Slice', { signature: 's', value: scope.slice }],
    flag('Delegate'),
    ['PIDs', { signature: 'au', value: [pid] }],
    flag('MemoryAccounting'),
    flag('CPUAccounting'),
    flag(version === 1 ? 'BlockIOAccounting' : 'IOAccounting'),
    flag('TasksAccounting'),
    // It needs neither the machine’s start to be over, nor to be stopped with the others at its end.
    flag('DefaultDependencies', false),
    ...more,
    // Last, so that they hold.
    ...limitProperties(limits, version),
  ];
  using systemd = await connect(scope.uid);
  const start = () =>
    runJob(systemd, 'StartTransientUnit', 'ssa(sv)a(sa(sv))', [scope.unit, 'replace', properties, []]);
  try {
    await start();
  } catch (error) {
    if (!isFailure(error, 'UnitExists')) throw error;
    // What is left of one that has failed, perhaps.
    await forget(systemd, scope);
    await start();
  }
}

/** The version of the cgroups that limit something, for a container that has cgroups at these places. */
export function scopeVersion(places: readonly CgroupPlace[]): 1 | 2 {
  return places.some(({ version, controllers }) => version === 1 && !controllers.includes('name=systemd')) ? 1 : 2;
}

/** Changes the limits that systemd knows of. */
export async function changeScope(scope: Scope, limits: CgroupLimits, version: 1 | 2): Promise<void> {
  const properties = limitProperties(limits, version);
  if (properties.length === 0) return;
  using systemd = await connect(scope.uid);
  await systemd.call({
    ...MANAGER,
    member: 'SetUnitProperties',
    signature: 'sba(sv)',
    body: [scope.unit, true, properties],
  });
}

/** Ends the scope, if it is there. Its processes get SIGTERM; whoever is here has killed them before. */
export async function stopScope(scope: Scope): Promise<void> {
  if (!existsSync(socketOf(scope.uid))) return;
  using systemd = await connect(scope.uid);
  try {
    await runJob(systemd, 'StopUnit', 'ss', [scope.unit, 'replace']);
  } catch (error) {
    if (!isFailure(error, 'NoSuchUnit')) throw error;
  }
  await forget(systemd, scope);
}

function socketOf(uid: number): string {
  if (uid === 0) return '/run/systemd/private';
  return join(process.env.XDG_RUNTIME_DIR ?? `/run/user/${uid}`, 'systemd/private');
}

async function connect(uid: number): Promise<SystemdConnection> {
  checkSystemd(uid);
  return SystemdConnection.connect(socketOf(uid));
}

/** A method that begins a job, and the end of the job. */
async function runJob(
  systemd: SystemdConnection,
  member: string,
  signature: string,
  body: Parameters<SystemdConnection['call']>[0]['body'],
): Promise<void> {
  const ended = new Map<string, string>();
  let wake = () => {};
  let fail = (_: Error) => {};
  systemd.onSignal = (signal) => {
    if (signal.member !== 'JobRemoved') return;
    const [, job, , result] = signal.body();
    ended.set(String(job), String(result));
    wake();
  };
  systemd.onLost = (error) => fail(error);
  const [job] = await systemd.call({ ...MANAGER, member, signature, body });
  let timer: NodeJS.Timeout | undefined;
  const result = await new Promise<string>((resolve, reject) => {
    wake = () => {
      const found = ended.get(String(job));
      if (found !== undefined) resolve(found);
    };
    fail = reject;
    timer = setTimeout(() => resolve('timeout'), JOB_MS);
    wake();
  }).finally(() => clearTimeout(timer));
  if (result !== 'done') throw new TareError('system-call', `systemd: ${member} ${String(body[0])}: ${result}`);
}

/** A unit that has failed stays until somebody says that it was seen. */
async function forget(systemd: SystemdConnection, { unit }: Scope): Promise<void> {
  try {
    await systemd.call({ ...MANAGER, member: 'ResetFailedUnit', signature: 's', body: [unit] });
  } catch (error) {
    if (!isFailure(error, 'NoSuchUnit')) throw error;
  }
}

function isFailure(error: unknown, name: string): boolean {
  return error instanceof DBusFailure && error.errorName === `org.freedesktop.systemd1.${name}`;
}
