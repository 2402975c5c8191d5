/** A bundle in a world: the default configuration with changes, a busybox root file system, and a script for its shell. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultConfig } from '../../runtime/container/index.js';
import { type Config, validConfig } from '../../runtime/oci/index.js';
import { makeRootfs } from './rootfs.js';
import type { Ran, World } from './world.js';

/** Of config.json; `linux` and `process` are merged with those of the default, `mounts` come after its own. */
export interface Changes {
  readonly mounts?: Config['mounts'];
  readonly linux?: Partial<NonNullable<Config['linux']>>;
  readonly process?: Partial<NonNullable<Config['process']>>;
  readonly root?: Config['root'];
  /** Anything else, last. */
  change?(config: Config): Config;
}

export interface TestBundle {
  readonly path: string;
  readonly rootfs: string;
}

/** Writes it to the world's folder, in place of the one before. The container may mount and has no system call filter. */
export function makeBundle(world: World, script: string, changes: Changes = {}): TestBundle {
  const path = join(world.folder, 'bundle');
  if (existsSync(path)) rmSync(path, { recursive: true });
  mkdirSync(path);
  // Users of a user namespace must get to the root.
  chmodSync(world.folder, 0o711);
  const rootfs = makeRootfs(join(path, 'rootfs'));
  const config = defaultConfig({ rootfs, args: ['sh', '-c', script], caller: { uid: 0, gid: 0 } });
  const capabilities = config.process?.capabilities?.bounding?.concat('CAP_SYS_ADMIN', 'CAP_MKNOD') ?? [];
  const merged: Config = {
    ...config,
    root: { path: rootfs, ...changes.root },
    mounts: [...(config.mounts ?? []), ...(changes.mounts ?? [])],
    process: {
      ...(config.process as NonNullable<Config['process']>),
      capabilities: { bounding: capabilities, permitted: capabilities, effective: capabilities },
      ...changes.process,
    },
    linux: { ...config.linux, seccomp: undefined, ...changes.linux },
  };
  const changed = JSON.parse(JSON.stringify(changes.change ? changes.change(merged) : merged));
  validConfig(changed);
  writeFileSync(join(path, 'config.json'), JSON.stringify(changed));
  const owner = changed.linux.uidMappings?.[0]?.hostID ?? 0;
  if (owner !== 0) execFileSync('chown', ['-R', `${owner}:${owner}`, rootfs]);
  return { path, rootfs };
}

/** Makes it and runs it to its end with `tare run`. */
export function runScript(world: World, script: string, changes: Changes = {}): Promise<Ran> {
  const { path } = makeBundle(world, script, changes);
  return world.tare(['run', '--bundle', path]);
}

/** linux.namespaces and the mappings of a container with a user namespace in which root is `hostID`. */
export function userNamespace(hostID = 100_000, types = ['mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'] as const) {
  const mapping = [{ containerID: 0, hostID, size: 65_536 }];
  return {
    namespaces: [{ type: 'user' as const }, ...types.map((type) => ({ type }))],
    uidMappings: mapping,
    gidMappings: mapping,
  };
}
