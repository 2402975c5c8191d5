/**
 * New limits for a container that is there, also while it is paused or only created. What holds afterwards is written into its
 * configuration, so that the next change is completed with it. runc-update(8); config-linux.md#control-groups.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CgroupPlace, mergeLimits, updateCgroup } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import { changeScope, scopeVersion } from '../kernel/systemd/scope.js';
import type { Config, IntelRdt, Resources } from '../oci/index.js';
import { RESCTRL } from '../plan/index.js';
import type { StateDirectory } from './state-directory.js';

/** Lines of schemata(5) for the container's class of cache and memory bandwidth. */
export type RdtChange = Pick<IntelRdt, 'l3CacheSchema' | 'memBwSchema'>;

/**
 * The caller holds the container's lock. Device rules are not changed.
 * @throws TareError `config`, `unsupported` or `system-call`; then all is as before
 */
export async function updateLimits(
  directory: StateDirectory,
  places: readonly CgroupPlace[],
  change: Resources,
  rdt: RdtChange = {},
): Promise<void> {
  const config = directory.readConfig();
  const { devices: _, ...limits } = change;
  const before = config.linux?.resources ?? {};
  const intelRdt = changedClass(config, rdt);
  const resources = mergeLimits(before, limits) as Resources;
  const { scope } = directory.read();
  updateCgroup(places, limits, before);
  // It writes what it knows again whenever it is reloaded.
  if (scope) await changeScope(scope, resources, scopeVersion(places));
  if (intelRdt) updateClass(intelRdt, directory.id, rdt);
  directory.writeConfig({ ...config, linux: { ...config.linux, resources, ...(intelRdt && { intelRdt }) } });
}

function changedClass({ linux }: Config, { l3CacheSchema, memBwSchema }: RdtChange): IntelRdt | undefined {
  if (!l3CacheSchema && !memBwSchema) return undefined;
  const [option, what] = l3CacheSchema
    ? ['--l3-cache-schema', 'Intel RDT/CAT: l3 cache schema']
    : ['--mem-bw-schema', 'Intel RDT/MBA: memory bandwidth schema'];
  if (!existsSync(join(RESCTRL, 'schemata'))) {
    const why = `there is no resctrl file system at ${RESCTRL}`;
    throw new TareError('unsupported', `${option}: ${what} is not enabled: ${why}`);
  }
  if (!linux?.intelRdt) {
    const why = 'the container was created without linux.intelRdt';
    throw new TareError('unsupported', `updating a non-existent Intel RDT configuration is not supported: ${why}`);
  }
  return { ...linux.intelRdt, ...(l3CacheSchema && { l3CacheSchema }), ...(memBwSchema && { memBwSchema }) };
}

/** One line a write: of several the kernel would apply those before the first that is wrong. */
function updateClass({ closID }: IntelRdt, id: string, { l3CacheSchema, memBwSchema }: RdtChange): void {
  const path = join(RESCTRL, closID || id, 'schemata');
  for (const line of [l3CacheSchema, memBwSchema]) {
    if (!line) continue;
    try {
      writeFileSync(path, `${line}\n`);
    } catch (cause) {
      const { code = '', message } = cause as NodeJS.ErrnoException;
      const syscall = { name: 'write', args: `${path}, ${JSON.stringify(line)}`, errno: code };
      throw new TareError('system-call', `the class cannot be changed to ${line}: ${message}`, {
        cause,
        syscall,
        path,
      });
    }
  }
}
