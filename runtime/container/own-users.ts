/**
 * Running this program again as the root of a user namespace of its caller's: see own-users.ts of plan/compile. The caller's further users are what
 * /etc/subuid and /etc/subgid give them; without any, and without newuidmap(1), there is one user in there. subuid(5), subgid(5).
 */
import { readFileSync } from 'node:fs';
import { constants, userInfo } from 'node:os';
import { isatty } from 'node:tty';
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { dataRoot, stateRoot } from '../kernel/places.js';
import { PASSED_ON } from '../kernel/signals.js';
import { removeTreeAt } from '../kernel/tree.js';
import type { IdMapping } from '../oci/index.js';
import { compileOwnUsers, ID_HELPERS, type OwnUsers, type PlanRun, runPlan } from '../plan/index.js';
import { thisCaller } from './caller.js';
import { exitStatus } from './exit-status.js';
import { hasIdHelpers, mapIds } from './id-helpers.js';

/**
 * Runs the same command line as its own root, and returns its exit code.
 * @param onWarning told when there is one user only
 */
export async function runAsOwnRoot(onWarning: (sentence: string) => void): Promise<number> {
  // Root has other places for what it keeps: these stay the caller's.
  const env = { ...process.env, TARE_ROOT: dataRoot(), TARE_STATE: stateRoot() };
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const run = startAsOwnRoot(process.execPath, argv, env, onWarning);
  const stop = forwardSignals((signal) => run.signal(signal));
  try {
    return exitStatus(await run.exited).code;
  } finally {
    stop();
  }
}

/** Removes a folder with what the caller's further users have written in it, which only root can by themself. @throws TareError `permission` */
export async function removeOwnTree(path: string): Promise<void> {
  if (process.geteuid?.() === 0) return removeTreeAt(path);
  const { code } = exitStatus(await startAsOwnRoot('/bin/rm', ['rm', '-rf', '--', path], {}, () => undefined).exited);
  if (code !== 0) throw new TareError('permission', `${path} cannot be removed: rm ended with ${code}`, { path });
}

function startAsOwnRoot(
  path: string,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  onWarning: (sentence: string) => void,
): PlanRun {
  const caller = thisCaller();
  const users = ownUsers(caller, onWarning);
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const plan = compileOwnUsers(users, caller, { path, argv, env: variables });
  return runPlan(plan, { onCall: (name, fd) => mapThe(name, fd, users) });
}

/** The users and groups of the namespace: root is the caller, and those that follow are lent to them. */
export function ownUsers(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  onWarning: (sentence: string) => void,
  read: (path: string) => string = readText,
): OwnUsers {
  const name = userName();
  const uids = lentTo(read('/etc/subuid'), name, uid);
  const gids = lentTo(read('/etc/subgid'), name, uid);
  const one = (hostID: number): IdMapping[] => [{ containerID: 0, hostID, size: 1 }];
  if (uids.length > 0 && gids.length > 0 && hasIdHelpers())
    return { uidMappings: [...one(uid), ...uids], gidMappings: [...one(gid), ...gids] };
  const lacks = hasIdHelpers()
    ? `/etc/subuid and /etc/subgid lend no users to ${name}`
    : 'newuidmap and newgidmap are not installed (Debian: uidmap)';
  onWarning(
    `${lacks}: files of an image that belong to anybody but root cannot be unpacked; root can help with "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${name}"`,
  );
  return { uidMappings: one(uid), gidMappings: one(gid) };
}

/** Lines are `NAME:FIRST:COUNT`, or with a uid for the name. */
function lentTo(text: string, name: string, uid: number): IdMapping[] {
  let next = 1;
  const mappings: IdMapping[] = [];
  for (const line of text.split('\n')) {
    const [owner, first, count] = line.trim().split(':');
    const [hostID, size] = [Number(first), Number(count)];
    const isOurs = owner === name || owner === String(uid);
    // The kernel takes 340 lines, and no more ids than there are.
    if (!isOurs || !(hostID > 0 && size > 0) || next + size > 2 ** 32 - 1 || mappings.length === 300) continue;
    mappings.push({ containerID: next, hostID, size });
    next += size;
  }
  return mappings;
}

async function mapThe(name: string, fd: number | undefined, users: OwnUsers): Promise<undefined> {
  if (fd === undefined)
    throw new TareError('protocol', 'a process whose ids are to be mapped came without its descriptor');
  try {
    const maps = name === ID_HELPERS.uidMappings ? 'uidMappings' : 'gidMappings';
    await mapIds(maps, { ociVersion: '1.2.0', linux: users }, fd);
  } finally {
    native.close(fd);
  }
}

/** What a terminal sends reaches all of its group, the program too; what is sent to us alone is passed on. */
function forwardSignals(send: (signal: number) => void): () => void {
  const { SIGINT, SIGQUIT, SIGTSTP } = constants.signals;
  const typed = new Set<number>(isatty(0) ? [SIGINT, SIGQUIT, SIGTSTP] : []);
  const watchers = PASSED_ON.map((number) =>
    native.watchSignal(number, (signal) => {
      if (!typed.has(signal)) send(signal);
    }),
  );
  for (const watcher of watchers) watcher.unref();
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in /etc/passwd is known by number.
    return String(process.getuid?.());
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
