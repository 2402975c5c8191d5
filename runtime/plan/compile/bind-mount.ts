/**
 * A bind mount: a copy of the source's mount (open_tree(2)), given its attributes while nothing can see it, attached to a
 * target within the root. The users of a new user namespace may not be able to reach the source,
 * nor to map its owners: there the outside makes the copy, and passes it in.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { TareError } from '../../kernel/error.js';
import { parseMountInfo } from '../../kernel/mountinfo.js';
import type { Mount } from '../../oci/index.js';
import type { Slot } from '../plan.js';
import { MS_REC } from './abi.js';
import { attach, attachWith, quiet, setPropagation } from './attach.js';
import { type Attributes, setAttributes } from './attributes.js';
import { copyOf, noteOf, rootOnHost, type Source, sourceOf, targetOf } from './bind-source.js';
import { type Compilation, has } from './compilation.js';
import { amongContainersMounts } from './container-view.js';
import { isIdmapped, makeMapping, passMapping, setIdmap } from './idmap.js';
import { attributesOfHost, type BindChange, bindChange, checkLocked, lockedAttributes } from './locked.js';
import type { MountOptions } from './options.js';
import { hostPropagation } from './rootfs.js';

export function bindMount(
  compilation: Compilation,
  field: string,
  rootfs: Slot<'fd'>,
  mount: Mount,
  asked: MountOptions,
): void {
  const source = sourceOf(compilation, mount);
  checkOptions(compilation, asked, mount.destination);
  const options = compilation.features.mountSetattr ? asked : withoutBelow(asked, source, mount.destination);
  const inside = compilation.builder.inside.for(field);
  const idmapped = isIdmapped(mount, options);
  if (isMadeOutside(compilation, source, idmapped)) {
    const copy = copyFromOutside(compilation, field, mount, source, options);
    const target = targetOf(inside, rootfs, source, mount.destination);
    attach(inside, copy, target, mount.destination, noteOf(source, mount.destination));
    setPropagation(compilation, inside, copy, options.propagation);
    return;
  }
  const mapping = idmapped ? passMapping(compilation, field, mount) : undefined;
  const copy = copyOf(inside, source, mount.destination, options, rootfs);
  if (mapping) setIdmap(inside, copy, mapping, options);
  const target = targetOf(inside, rootfs, source, mount.destination);
  const locked = source.inRoot === undefined ? lockedAttributes(compilation, source.path) : 0;
  const attributes = attributesOf(bindChange(options, has(compilation, 'user')), options);
  attachWith(
    compilation,
    inside,
    copy,
    target,
    mount.destination,
    attributes.map((each) => ({ ...each, locked })),
    noteOf(source, mount.destination),
  );
  // In the host's own mount namespace even a volume that asks to be shared is not: its end would unmount what lies below on the host.
  if (options.propagation.length === 0 || !has(compilation, 'mount')) quiet(compilation, inside, copy);
  setPropagation(compilation, inside, copy, options.propagation);
}

/**
 * Root makes them for a user namespace. Who is not root is in theirs what they are outside, and reaches as much. What lies in the
 * root file system is looked for inside, where the mounts before this one are seen, unless its owners are to be mapped.
 */
function isMadeOutside(compilation: Compilation, { inRoot }: Source, idmapped: boolean): boolean {
  const { caller, features } = compilation;
  return has(compilation, 'user') && caller.uid === 0 && features.mountSetattr && (inRoot === undefined || idmapped);
}

/** With all its attributes, and what it may not get back: the container's mount namespace would have locked these. */
function copyFromOutside(
  compilation: Compilation,
  field: string,
  mount: Mount,
  source: Source,
  options: MountOptions,
): Slot<'fd'> {
  const outside = compilation.builder.outside.for(field);
  const isHosts = source.inRoot === undefined;
  const made = isHosts
    ? copyOf(outside, source, mount.destination, options)
    : amongContainersMounts(compilation, field, () =>
        copyOf(outside, source, mount.destination, options, rootOnHost(compilation, outside)),
      );
  if (isIdmapped(mount, options)) {
    const mapping = makeMapping(compilation, outside, mount);
    setIdmap(outside, made, mapping, options);
    outside.close({ fd: mapping }, 'the mount has the mapping now');
  }
  // A copy of the host's mount is its peer, and what the container mounts in it would be mounted on the host.
  setPropagation(compilation, outside, made, [MS_REC | hostPropagation(compilation)]);
  if (isHosts) checkLocked(options, source.path, mount.destination);
  for (const each of attributesOf(bindChange(options, true), options))
    setAttributes(compilation.features, outside, made, each);
  const copy = compilation.builder.pass('outside', 'inside', made, {
    field,
    why: 'made outside, where its source can be reached and its owners can be mapped',
  });
  outside.close({ fd: made }, 'the container has it');
  return copy;
}

function attributesOf(own: BindChange, options: MountOptions): Attributes[] {
  return [
    { ...own, why: 'its attributes (EPERM: a user namespace may not lift restrictions)' },
    {
      set: options.setBelow,
      clear: options.clearBelow,
      recursive: true,
      why: 'attributes of it and of all below it (EPERM: a user namespace may not lift restrictions)',
    },
  ];
}

/** A bind mount shows a file system that is there already, so nothing can be said to the file system. */
function checkOptions({ warnings }: Compilation, options: MountOptions, destination: string): void {
  // mount(2) ignores what is for the file system of a bind mount, and so do other runtimes; a word alone is a mistake of writing.
  const first = options.data.find((option) => !option.includes('='));
  if (first !== undefined || options.copyUp) {
    throw new TareError(
      'config',
      `config.json: the bind mount at ${destination} has the option "${first ?? 'tmpcopyup'}", which bind mounts do not have`,
    );
  }
  const others = [...options.superblock, ...options.data];
  if (others.length > 0) {
    warnings.push(
      `the bind mount at ${destination} has the option ${others.join(', ')}, which is the file system’s: left out`,
    );
  }
}

/** Without mount_setattr nothing can be said of mounts below at once. Where there are none, what is said of all is said of the mount. */
function withoutBelow(options: MountOptions, { path }: Source, destination: string): MountOptions {
  const { setBelow, clearBelow } = options;
  if ((setBelow | clearBelow) === 0) return options;
  if (options.bind === 'rbind' && hasMountsBelow(path)) {
    throw new TareError(
      'unsupported',
      `${destination}: recursive options of a source with mounts below it need mount_setattr (Linux 5.12)`,
    );
  }
  // What was not asked of the mount alone it keeps; a remount says all anew.
  const own = options.asked ? options.set : attributesOfHost(path);
  const set = (own & ~clearBelow) | setBelow;
  const clear = (options.clear & ~setBelow) | clearBelow;
  return { ...options, asked: true, set, clear, setBelow: 0, clearBelow: 0 };
}

function hasMountsBelow(path: string): boolean {
  const above = `${realpathSync(path).replace(/\/$/, '')}/`;
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8')).some(({ mountPoint }) =>
    mountPoint.startsWith(above),
  );
}
