/**
 * Shares of the processor's cache and memory bandwidth (Intel RDT, AMD QoS): a class is a folder in the resctrl file system, its
 * `schemata` say what it gets, and a process belongs to the class whose `tasks` it has written itself into. Children inherit
 * it. Documentation/filesystems/resctrl.rst; config-linux.md#intelrdt.
 */
import { TareError } from '../../kernel/error.js';
import type { IntelRdt } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH, O_WRONLY, RDTGROUP_SUPER_MAGIC } from './abi.js';
import type { Compilation } from './compilation.js';

/** Where it is mounted, by the kernel's documentation. */
export const RESCTRL = '/sys/fs/resctrl';

/**
 * The folders that creating this container makes, below the mount point; whoever deletes the container removes them. A class that the
 * config names belongs to who named it: containers share it, and it stays.
 */
export function resctrlFolders(rdt: IntelRdt | undefined, id: string): string[] {
  if (rdt === undefined) return [];
  const own = rdt.closID ? [] : [id];
  const monitor = rdt.enableMonitoring ? [`${classOf(rdt, id)}/mon_groups/${id}`.replace(/^\.\//, '')] : [];
  return [...own, ...monitor];
}

/**
 * Outside: makes the class and says what it gets. Returns the files into which the container writes itself.
 * @throws TareError `unsupported` where there is no resctrl
 */
export function makeClass(compilation: Compilation): Slot<'fd'>[] {
  const { builder, config, id } = compilation;
  const rdt = config.linux?.intelRdt;
  if (rdt === undefined) return [];
  const outside = builder.outside.for('linux.intelRdt');
  const root = openResctrl(compilation, outside);
  const name = classOf(rdt, id);
  const schemata = [rdt.l3CacheSchema, rdt.memBwSchema, ...(rdt.schemata ?? [])].filter((line) => line);
  // A class that is named and given nothing must be there already; one of our own must not.
  if (!rdt.closID) outside.mkdirat({ dir: root, path: name, mode: 0o755 }, 'a class of the container’s own');
  else if (schemata.length > 0 && name !== '.')
    outside.mkdirat(
      { dir: root, path: name, mode: 0o755 },
      { why: 'the class, if nobody has made it yet', tolerate: ['EEXIST'] },
    );
  for (const line of schemata) writeSchema(outside, root, name, `${line}\n`);
  if (rdt.enableMonitoring)
    outside.mkdirat(
      { dir: root, path: `${name}/mon_groups/${id}`, mode: 0o755 },
      'a group of its own, which counts what it uses',
    );
  return openTasks(outside, root, rdt, id);
}

/** For `exec`, whose process is no child of the container's first. */
export function joinClass(compilation: Compilation, lane: LaneBuilder): Slot<'fd'>[] {
  const rdt = compilation.config.linux?.intelRdt;
  if (rdt === undefined) return [];
  const at = lane.for('linux.intelRdt');
  return openTasks(at, openResctrl(compilation, at), rdt, compilation.id);
}

/** Inside: writes itself into the class, and then into its group; in a namespace it does not know its number, and 0 is itself. */
export function enterClass({ builder }: Compilation, tasks: readonly Slot<'fd'>[]): void {
  for (const fd of tasks) {
    const inside = builder.inside.for('linux.intelRdt');
    inside.write({ fd, data: Buffer.from('0') }, 'it, and what it starts, is of this class');
    inside.close({ fd }, 'it is in');
  }
}

function openResctrl({ features }: Compilation, lane: LaneBuilder): Slot<'fd'> {
  if (!features.resctrl) {
    const why = `there is no resctrl file system at ${RESCTRL}: the processor or this kernel cannot divide the cache, or nobody has mounted it`;
    throw new TareError('unsupported', `config.json: linux.intelRdt cannot be had: ${why}`, { path: 'linux.intelRdt' });
  }
  const root = lane.openat2(
    { dir: 'cwd', path: RESCTRL, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'resctrl', why: 'the classes of this machine' },
  );
  lane.expect_fs({ fd: root, magic: RDTGROUP_SUPER_MAGIC }, 'it surely is resctrl');
  return root;
}

function openTasks(lane: LaneBuilder, root: Slot<'fd'>, rdt: IntelRdt, id: string): Slot<'fd'>[] {
  const name = classOf(rdt, id);
  const folders = rdt.enableMonitoring ? [name, `${name}/mon_groups/${id}`] : [name];
  const tasks = folders.map((folder) =>
    lane.openat2(
      { dir: root, path: `${folder}/tasks`, flags: O_WRONLY | O_CLOEXEC, mode: 0, resolve: 0 },
      { as: `${folder}/tasks`, why: 'the way into it' },
    ),
  );
  lane.close({ fd: root }, 'all that is needed of it is open');
  return tasks;
}

/** One line a write: of several the kernel would apply those before the first that is wrong. */
function writeSchema(lane: LaneBuilder, root: Slot<'fd'>, name: string, line: string): void {
  const fd = lane.openat2(
    { dir: root, path: `${name}/schemata`, flags: O_WRONLY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'schemata', why: 'what the class gets' },
  );
  lane.write({ fd, data: Buffer.from(line) }, line.trim());
  lane.close({ fd }, 'written');
}

/** The root class is resctrl's own folder. */
function classOf({ closID }: IntelRdt, id: string): string {
  return closID === '/' ? '.' : closID || id;
}
