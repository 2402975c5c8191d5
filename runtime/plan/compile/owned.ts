/**
 * File systems that show a namespace: proc its processes, mqueue its queues. To mount one takes rights over the namespace that the
 * process is in, which a container with a user namespace has over what was made in there, and over nothing of the host's.
 * user_namespaces(7), "Effect of capabilities within a user namespace".
 */
import { TareError } from '../../kernel/error.js';
import type { NamespaceType } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import { type Compilation, creates, has, joins } from './compilation.js';
import { newFileSystem } from './new-file-system.js';
import { mountOptions } from './options.js';

/** What a file system shows. sysfs.ts does without rights over the network. */
const SHOWN: Readonly<Record<string, NamespaceType>> = { proc: 'pid', mqueue: 'ipc' };

/** As far as it can be known: not, where the kernel would surely refuse. */
export function hasRightsOver(compilation: Compilation, type: NamespaceType): boolean {
  if (creates(compilation, type)) return true;
  if (!has(compilation, 'user')) return joins(compilation, type) || !compilation.caller.nested;
  if (!joins(compilation, type)) return false;
  return joins(compilation, 'user') && (compilation.joined?.ofJoinedUser.has(type) ?? false);
}

/** The bridge, once it has joined what is the host's, and before it gives up the rights over that: makes what the container could not. */
export function makeBefore(compilation: Compilation, lane: LaneBuilder): void {
  compilation.config.mounts?.forEach((mount, i) => {
    if (mount.type !== 'mqueue' || !joins(compilation, 'ipc') || hasRightsOver(compilation, 'ipc')) return;
    const field = `mounts[${i}]`;
    const options = mountOptions(mount.options ?? []);
    const made = newFileSystem(lane.for(field), 'mqueue', {
      source: mount.source,
      data: [...options.superblock, ...options.data],
      attributes: options.set | options.setBelow,
      why: 'the message queues of the ipc namespace, which the container’s own users may not mount',
    });
    compilation.premade?.set(field, made);
  });
}

/** @throws TareError `unsupported` for a file system that the kernel would surely refuse */
export function checkShown(compilation: Compilation, fileSystem: string, field: string): void {
  const type = SHOWN[fileSystem];
  if (type === undefined || !has(compilation, 'user') || hasRightsOver(compilation, type)) return;
  throw new TareError(
    'unsupported',
    `config.json: ${field} is a ${fileSystem} of a namespace (${type}) that is not of the container’s user namespace, which so may not mount it: only a bind mount of the host’s can show it`,
    { path: field },
  );
}
