/**
 * Clocks that begin elsewhere: the offsets of a new time namespace. They can be written from its making until the first process
 * is in it, so the process that makes it (unshare(2) puts only its children there) writes them before it has a child.
 * time_namespaces(7), /proc/PID/timens_offsets.
 */
import type { TimeOffset } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { CLONE_NEWTIME, O_CLOEXEC, O_WRONLY } from './abi.js';
import type { Compilation } from './compilation.js';

/** Offsets that are asked for, not only named. */
export function hasTimeOffsets({ config }: Pick<Compilation, 'config'>): boolean {
  return offsetLines(config).length > 0;
}

/** The bridge: makes the time namespace of its children, and sets its clocks. @param proc a descriptor of /proc */
export function setTimeOffsets({ config }: Compilation, lane: LaneBuilder, proc: Slot<'fd'>): void {
  const at = lane.for('linux.timeOffsets');
  const text = offsetLines(config).join('');
  at.unshare(
    { flags: CLONE_NEWTIME },
    'a time namespace for its children: its clocks can be set until the first is born',
  );
  const fd = at.openat2(
    { dir: proc, path: 'self/timens_offsets', flags: O_WRONLY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'timens_offsets', why: 'how far its clocks are from those of the host' },
  );
  at.write({ fd, data: Buffer.from(text) }, text.trim().replaceAll('\n', ', '));
  at.close({ fd }, 'written');
}

const CLOCKS = ['monotonic', 'boottime'] as const;

function offsetLines({ linux }: Compilation['config']): string[] {
  return CLOCKS.flatMap((clock) => {
    const { secs = 0, nanosecs = 0 }: TimeOffset = linux?.timeOffsets?.[clock] ?? {};
    // An offset of nothing is what a new time namespace has.
    return secs === 0 && nanosecs === 0 ? [] : [`${clock} ${secs} ${nanosecs}\n`];
  });
}
