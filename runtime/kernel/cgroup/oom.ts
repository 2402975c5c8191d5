/**
 * Out of memory: tells when the kernel has killed a process of a cgroup because its memory limit was reached. Version 2 counts in
 * memory.events, whose changes inotify(7) tells; version 1 notifies by an eventfd(2) that is registered in cgroup.event_control.
 * cgroup-v2.rst, "memory.events"; cgroup-v1/memory.rst, "OOM Control".
 */
import { readSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../addon.js';
import { O_CLOEXEC, O_RDONLY } from '../constants/open.js';
import { TareError } from '../error.js';
import { closeAll } from '../fd.js';
import { keyedValue, readIfThere, unless, writeValue } from './files.js';
import { membersPlace, processesIn } from './processes.js';
import type { CgroupPlace } from './types.js';
import { watchFile } from './wait.js';

/**
 * One item each time that processes were killed for want of memory; several kills at the same time may be one. Ends when the last process
 * of the cgroup has ended, when the cgroup is removed, or by `stop`. It listens from the first `next()` on.
 * @throws TareError `unsupported` where the memory controller is not there
 */
export async function* oomEvents(places: readonly CgroupPlace[], stop?: AbortSignal): AsyncGenerator<void, void, void> {
  const changes = new Changes();
  const end = () => changes.add('end');
  stop?.addEventListener('abort', end);
  const closers: (() => void)[] = [];
  try {
    const kills = watchKills(places, changes, closers);
    watchMembers(places, changes, closers);
    if (stop?.aborted) return;
    let known = kills();
    for await (const change of changes) {
      const now = kills();
      // Version 1 tells before it kills, version 2 of other things too.
      if (change === 'oom' || (now !== undefined && now > (known ?? now))) yield;
      known = now;
      if (change === 'end') return;
    }
  } finally {
    stop?.removeEventListener('abort', end);
    for (const close of closers) close();
  }
}

/** How many processes the kernel has killed because the cgroup's memory limit was reached. 0 where it does not count (before Linux 4.13). */
export function oomKills(places: readonly CgroupPlace[]): number {
  const counts = places.map(({ version, directory }) =>
    keyedValue(readIfThere(directory, version === 2 ? 'memory.events' : 'memory.oom_control'), 'oom_kill'),
  );
  return Math.max(0, ...counts.map((count) => Number(count ?? 0)));
}

/** Returns how to ask how often version 2 has killed; version 1 is not asked. */
function watchKills(
  places: readonly CgroupPlace[],
  changes: Changes,
  closers: (() => void)[],
): () => number | undefined {
  const first = places.find(({ version, controllers }) => version === 1 && controllers.includes('memory'));
  if (first) {
    registerEventfd(first, changes, closers);
    return () => undefined;
  }
  const events = (place: CgroupPlace) => readIfThere(place.directory, 'memory.events');
  const second = places.find((place) => place.version === 2 && events(place) !== undefined);
  if (!second) throw new TareError('unsupported', 'no cgroup of the container has the memory controller');
  const watcher = watchFile(join(second.directory, 'memory.events'));
  watcher?.on('change', () => changes.add('change'));
  watcher?.on('error', () => changes.add('end'));
  closers.push(() => watcher?.close());
  return () => {
    const value = keyedValue(events(second), 'oom_kill');
    return value === undefined ? undefined : Number(value);
  };
}

/** The kernel adds to the eventfd at each out-of-memory, and once more when the cgroup is removed. */
function registerEventfd({ directory }: CgroupPlace, changes: Changes, closers: (() => void)[]): void {
  const control = native.open(join(directory, 'memory.oom_control'), O_RDONLY | O_CLOEXEC);
  const event = native.eventfd();
  try {
    writeValue(directory, 'cgroup.event_control', `${event} ${control}`);
  } catch (error) {
    closeAll([control, event]);
    throw error;
  }
  const watcher = native.watch(event, 1, () => {
    unless(['EAGAIN'], () => readSync(event, Buffer.alloc(8)));
    changes.add(readIfThere(directory, 'memory.oom_control') === undefined ? 'end' : 'oom');
  });
  closers.push(() => {
    watcher.close();
    closeAll([control, event]);
  });
}

/** Version 2 tells when the last process has gone. On version 1 alone, nobody does: there the removal of the cgroup is the end. */
function watchMembers(places: readonly CgroupPlace[], changes: Changes, closers: (() => void)[]): void {
  const place = membersPlace(places);
  if (place?.version !== 2) return;
  const look = () => {
    if (keyedValue(readIfThere(place.directory, 'cgroup.events'), 'populated') !== '1') changes.add('end');
  };
  const watcher = watchFile(join(place.directory, 'cgroup.events'));
  watcher?.on('change', look);
  watcher?.on('error', () => changes.add('end'));
  closers.push(() => watcher?.close());
  if (processesIn(place.directory).length === 0) look();
}

type Change = 'oom' | 'change' | 'end';

/** What has happened and was not looked at yet. */
class Changes implements AsyncIterable<Change> {
  readonly #waiting: Change[] = [];
  #wake: (() => void) | undefined;

  add(change: Change): void {
    this.#waiting.push(change);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Change, void, void> {
    for (;;) {
      const change = this.#waiting.shift();
      if (change) yield change;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
