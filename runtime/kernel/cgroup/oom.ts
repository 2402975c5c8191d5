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
 * of the cgroup has ended, when the cgroup is removed, or by `stop`.
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
    let known = kills.before;
    for await (const change of changes) {
      const now = kills.count();
      if (change === 'oom' ? now === undefined || now > known : (now ?? known) > known) yield;
      known = now ?? known;
      if (change === 'end') return;
    }
  } finally {
    stop?.removeEventListener('abort', end);
    for (const close of closers) close();
  }
}

interface Kills {
  /** How often the kernel has killed; undefined where it does not count (version 1 before Linux 4.13), or the cgroup is gone. */
  count(): number | undefined;
  readonly before: number;
}

function watchKills(places: readonly CgroupPlace[], changes: Changes, closers: (() => void)[]): Kills {
  const first = places.find(({ version, controllers }) => version === 1 && controllers.includes('memory'));
  const second = places.find(
    ({ version, directory }) => version === 2 && readIfThere(directory, 'memory.events') !== undefined,
  );
  const place = first ?? second;
  if (!place) throw new TareError('unsupported', 'no cgroup of the container has the memory controller');
  const file = place === first ? 'memory.oom_control' : 'memory.events';
  const count = () => {
    const value = keyedValue(readIfThere(place.directory, file), 'oom_kill');
    return value === undefined ? undefined : Number(value);
  };
  if (place === first) registerEventfd(place, changes, closers);
  else {
    const watcher = watchFile(join(place.directory, file));
    watcher?.on('change', () => changes.add('oom'));
    closers.push(() => watcher?.close());
  }
  return { count, before: count() ?? 0 };
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
  closers.push(() => watcher?.close());
  if (processesIn(place.directory).length === 0) look();
}

/** What has happened and was not looked at yet. */
class Changes implements AsyncIterable<'oom' | 'end'> {
  readonly #waiting: ('oom' | 'end')[] = [];
  #wake: (() => void) | undefined;

  add(change: 'oom' | 'end'): void {
    this.#waiting.push(change);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<'oom' | 'end', void, void> {
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
