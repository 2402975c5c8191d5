/**
 * Kernel parameters of the container's own namespaces, written through a proc of our own making that is attached nowhere
 * yet: the image cannot have put a fake one there, nor a link in the way (CVE-2019-16884, CVE-2025-52881). sysctl(8).
 * Which parameters a container may set is a rule of config.json: oci/rules/sysctl.ts.
 */
import { sysctlPath } from '../../oci/index.js';
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  PROC_SUPER_MAGIC,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from './abi.js';
import type { Compilation } from './compilation.js';
import { newFileSystem } from './new-file-system.js';
import { hasRightsOver } from './owned.js';

export function setSysctls(compilation: Compilation): void {
  const entries = Object.entries(compilation.config.linux?.sysctl ?? {});
  if (entries.length === 0) return;
  const inside = compilation.builder.inside.for('linux.sysctl');
  // Who may not mount one writes through the runtime's: the parameters are those of the writer's namespaces, whichever proc it is.
  const proc = hasRightsOver(compilation, 'pid')
    ? newFileSystem(inside, 'proc', { attributes: 0, why: 'a proc of our own, for writing parameters' })
    : inside.openat2(
        { dir: 'cwd', path: '/proc', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
        { as: 'proc of the host', why: 'for writing parameters; its pid namespace is not the container’s to mount' },
      );
  inside.expect_fs({ fd: proc, magic: PROC_SUPER_MAGIC }, 'it surely is proc');
  for (const [name, value] of entries) {
    const path = sysctlPath(name);
    const lane = compilation.builder.inside.for(`linux.sysctl[${JSON.stringify(name)}]`);
    const fd = lane.openat2(
      {
        dir: proc,
        path: `sys/${path}`,
        flags: O_WRONLY | O_CLOEXEC,
        mode: 0,
        resolve: RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
      },
      { as: path, why: `the parameter ${name}` },
    );
    lane.write({ fd, data: Buffer.from(value) }, `${name}: ${value.trim()}`);
    lane.close({ fd }, 'written');
  }
  inside.close({ fd: proc }, 'the parameters are set');
}
