/**
 * newuidmap(1) and newgidmap(1): programs of root's that write the id maps of somebody who is not, as far as subuid(5) and subgid(5)
 * allow. Found before anything is made; run when the namespace is there.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { TareError } from '../kernel/error.js';
import type { Config, IdMapping } from '../oci/index.js';
import { type Caller, ID_HELPERS, type IdMaps, needsIdHelper } from '../plan/index.js';

/** @throws TareError `not-found` for a helper that is needed and not installed */
export function checkIdHelpers(config: Config, caller: Caller): void {
  const isNew = config.linux?.namespaces?.some(({ type, path }) => type === 'user' && !path) ?? false;
  if (!isNew) return;
  for (const maps of ['uidMappings', 'gidMappings'] as const) {
    if (needsIdHelper({ config, caller }, maps)) find(ID_HELPERS[maps], maps);
  }
}

/** Whether both are installed. */
export function hasIdHelpers(): boolean {
  try {
    find(ID_HELPERS.uidMappings, 'uidMappings');
    find(ID_HELPERS.gidMappings, 'gidMappings');
    return true;
  } catch (error) {
    if (error instanceof TareError && error.code === 'not-found') return false;
    throw error;
  }
}

/**
 * Answers the call step: maps the ids of the process that the pidfd stands for.
 * @throws TareError `permission` with what the helper says
 */
export async function mapIds(maps: IdMaps, config: Config, pidfd: number): Promise<undefined> {
  const name = ID_HELPERS[maps];
  const path = find(name, maps);
  const pid = pidOf(pidfd);
  const words = (config.linux?.[maps] ?? []).flatMap((m: IdMapping) => [m.containerID, m.hostID, m.size]);
  const said = await run(path, [pid, ...words].map(String));
  if (said === undefined) return undefined;
  const [file, what] = maps === 'uidMappings' ? ['/etc/subuid', 'users'] : ['/etc/subgid', 'groups'];
  throw new TareError('permission', `linux.${maps}: ${said}: ${file} says which ${what} may be given by whom`, {
    path: `linux.${maps}`,
  });
}

function find(name: string, maps: IdMaps): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin'];
  const found = folders
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isProgram);
  if (found !== undefined) return found;
  throw new TareError(
    'not-found',
    `linux.${maps} maps more than the caller’s own id, which takes ${name}, and that is not installed (Debian: uidmap)`,
    { path: `linux.${maps}` },
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** As long as its pidfd is held and stage has not reaped it, the pid is nobody else's. */
function pidOf(pidfd: number): number {
  return Number(/^Pid:\s*(-?\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, 'utf8'))?.[1] ?? -1);
}

/** undefined when it did what it was asked; else what it said. */
function run(path: string, words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(path, words, { timeout: TIMEOUT_MS }, (error, _, stderr) => {
      resolve(error ? stderr.trim() || error.message : undefined);
    });
  });
}

const TIMEOUT_MS = 10_000;
