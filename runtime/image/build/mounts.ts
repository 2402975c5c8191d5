/**
 * The mounts of one RUN. First what of them the result depends on (the key), then, when it must really be done, the mounts themselves: caches are
 * locked, secrets written, and what is bound from the context, a stage or an image is a copy, so that what a RUN writes to it is lost.
 * https://docs.docker.com/reference/dockerfile/#run---mount
 */
import { join, posix } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import { type CacheFolder, openCacheFolder } from './cache-mounts.js';
import type { Keyed } from './key.js';
import type { Source } from './parse/source.js';
import type { RunMount } from './parse/types.js';
import { readSecret, type Secret, SecretFiles } from './secrets.js';

/** Files that can be bound, and copied: of the context, of a stage, of an image. */
export interface MountSource {
  /** What is there, as a part of a key. */
  digest(path: string): Promise<Keyed>;
  /** Copies what is at the path, a folder or a file, to a new one of this name. @throws TareError `not-found` */
  copy(path: string, to: string): Promise<void>;
}

export interface MountCircumstances {
  /** Of the store. */
  readonly root: string;
  readonly source: Source;
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Relative targets are below it. */
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** undefined: the context. @throws TareError `not-found` */
  sourceOf(from: string | undefined): Promise<MountSource>;
}

/** The mounts while the container runs: disposed of when it is gone. */
export interface PreparedMounts extends Disposable {
  readonly mounts: readonly Mount[];
  /** `NAME=value`: secrets that are asked for as variables. */
  readonly env: readonly string[];
}

/** @throws TareError `unsupported`, `not-found` with the place */
export async function mountsKey(mounts: readonly RunMount[], where: MountCircumstances): Promise<Keyed> {
  const keys: Keyed[] = [];
  for (const mount of mounts) {
    const { at: _, ...said } = mount;
    // As docker does it without --ssh: who needs the agent says so.
    if (mount.type === 'ssh' && mount.required)
      throw where.source.error(
        mount.at,
        'Tare has no SSH agent to give to a build: use --mount=type=secret for a key',
        {
          code: 'unsupported',
        },
      );
    if (mount.type === 'secret') checkSecret(mount, where);
    if (mount.type !== 'bind') keys.push(said as Keyed);
    else keys.push({ ...said, digest: await (await where.sourceOf(mount.from)).digest(mount.source ?? '/') } as Keyed);
  }
  return keys;
}

/** @param folder of the step, for copies */
export async function prepareMounts(
  mounts: readonly RunMount[],
  folder: string,
  where: MountCircumstances,
): Promise<PreparedMounts> {
  const caches: CacheFolder[] = [];
  const files = new SecretFiles();
  const dispose = () => {
    for (const cache of caches.splice(0)) cache[Symbol.dispose]();
    files[Symbol.dispose]();
  };
  try {
    const made = new Map<RunMount, Mount>();
    const env: string[] = [];
    // In the order of their ids: two RUNs with the same two never wait for each other.
    for (const mount of mounts.filter(({ type }) => type === 'cache').sort(byId(where))) {
      const cache = await openCache(mount, where);
      caches.push(cache);
      made.set(mount, bind(cache.path, targetOf(mount, where), mount.readOnly));
    }
    for (const [number, mount] of mounts.entries()) {
      if (mount.type === 'secret') secret(mount, files, where, (one) => made.set(mount, one), env);
      else if (mount.type === 'tmpfs') made.set(mount, tmpfs(mount, where));
      else if (mount.type === 'bind') made.set(mount, await bound(mount, join(folder, `mount-${number}`), where));
    }
    return { mounts: mounts.flatMap((mount) => made.get(mount) ?? []), env, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

function byId(where: MountCircumstances): (a: RunMount, b: RunMount) => number {
  return (a, b) => (cacheId(a, where) < cacheId(b, where) ? -1 : 1);
}

/** What begins otherwise (with an owner, a mode, or files of a stage) is another folder, whatever it is called. */
function cacheId(mount: RunMount, where: MountCircumstances): string {
  const { from, source, uid, gid, mode } = mount;
  const id = mount.id ?? targetOf(mount, where);
  const begin = { from, source, uid, gid, mode };
  return Object.values(begin).every((value) => value === undefined) ? id : JSON.stringify({ id, ...begin });
}

function targetOf({ target = '' }: RunMount, { cwd }: MountCircumstances): string {
  return posix.resolve('/', cwd, target);
}

async function openCache(mount: RunMount, where: MountCircumstances): Promise<CacheFolder> {
  const { from, sharing = 'shared', mode, uid, gid } = mount;
  const fill = async (path: string) => {
    await (await where.sourceOf(from)).copy(mount.source ?? '/', path);
  };
  return openCacheFolder(where.root, {
    id: cacheId(mount, where),
    sharing,
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(from !== undefined && { fill }),
    signal: where.signal,
  });
}

async function bound(mount: RunMount, copy: string, where: MountCircumstances): Promise<Mount> {
  const from = await where.sourceOf(mount.from);
  try {
    await from.copy(mount.source ?? '/', copy);
  } catch (error) {
    if (!(error instanceof TareError && error.code === 'not-found')) throw error;
    throw where.source.error(mount.at, `--mount: ${error.message}`, { code: 'not-found', cause: error });
  }
  return bind(copy, targetOf(mount, where), mount.readOnly);
}

function bind(source: string, destination: string, readOnly: boolean): Mount {
  return { destination, type: 'bind', source, options: ['bind', 'rprivate', readOnly ? 'ro' : 'rw'] };
}

function tmpfs(mount: RunMount, where: MountCircumstances): Mount {
  const options = ['nosuid', 'nodev', 'mode=1777', ...(mount.size === undefined ? [] : [`size=${mount.size}`])];
  return {
    destination: targetOf(mount, where),
    type: 'tmpfs',
    source: 'tmpfs',
    options: mount.readOnly ? [...options, 'ro'] : options,
  };
}

/** The id, or what stands for it: the last part of the target. */
function secretId({ id, source, target }: RunMount): string {
  return id ?? source ?? posix.basename(target ?? '');
}

function checkSecret(mount: RunMount, { secrets, source }: MountCircumstances): void {
  const id = secretId(mount);
  if (!mount.required || secrets.has(id)) return;
  throw source.error(
    mount.at,
    `the secret ${JSON.stringify(id)} is required: give it with --secret id=${id},src=FILE`,
    {
      code: 'not-found',
    },
  );
}

/** As a file, as a variable, or both where both are asked for. One that is not given, and not required, is not there. */
function secret(
  mount: RunMount,
  files: SecretFiles,
  where: MountCircumstances,
  add: (mount: Mount) => void,
  env: string[],
): void {
  const id = secretId(mount);
  const given = where.secrets.get(id);
  if (!given) return;
  const content = readSecret(given);
  if (mount.env !== undefined) env.push(`${mount.env || id}=${content.toString()}`);
  if (mount.env !== undefined && mount.target === undefined) return;
  const target = mount.target ?? `/run/secrets/${id}`;
  add(bind(files.add(content, mount), posix.resolve('/', where.cwd, target), true));
}
