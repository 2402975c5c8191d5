/**
 * What the learner has done, in one JSON file of mode 0600 that is replaced as a whole (written beside, synced, renamed), so
 * that a crash leaves the old or the new. A file that cannot be read is kept under another name and said so, never lost.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as z from 'zod';
import type { ProgressView } from '../protocol.js';

const schema = z.object({
  formatVersion: z.literal(1),
  exercises: z.record(z.string(), z.object({ tasks: z.array(z.string()), done: z.string().optional() })),
  chapters: z.record(z.string(), z.object({ opened: z.string(), read: z.string().optional() })),
});

type Mutable = Omit<z.infer<typeof schema>, 'formatVersion'>;

export class Progress {
  #state: Mutable;
  #writing: Promise<void> = Promise.resolve();
  /** A write waits that will see every change so far. */
  #dirty = false;
  #listeners = new Set<() => void>();

  private constructor(
    private readonly file: string,
    state: Mutable,
    /** A sentence for the learner, when the file was broken. */
    readonly notice?: string,
  ) {
    this.#state = state;
  }

  static async open(file: string): Promise<Progress> {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return new Progress(file, { exercises: {}, chapters: {} });
    }
    const fault = parse(text);
    if ('state' in fault) return new Progress(file, fault.state);
    const aside = `${file}.broken-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
    await rename(file, aside);
    const notice = `The file with your progress could not be read (${fault.reason}). It is kept as ${basename(aside)} beside it, and the lab starts with none.`;
    return new Progress(file, { exercises: {}, chapters: {} }, notice);
  }

  get view(): ProgressView {
    return structuredClone(this.#state);
  }

  openChapter(chapter: string): void {
    const known = this.#state.chapters[chapter];
    this.#state.chapters[chapter] = { ...known, opened: new Date().toISOString() };
    this.#changed();
  }

  readChapter(chapter: string): void {
    const now = new Date().toISOString();
    const known = this.#state.chapters[chapter];
    if (known?.read) return;
    this.#state.chapters[chapter] = { opened: known?.opened ?? now, read: now };
    this.#changed();
  }

  /** Records the tasks that are done; those done before stay so. */
  recordTasks(exercise: string, tasks: readonly string[], all: boolean): void {
    const known = this.#state.exercises[exercise];
    const union = [...new Set([...(known?.tasks ?? []), ...tasks])];
    const done = known?.done ?? (all ? new Date().toISOString() : undefined);
    if (known && union.length === known.tasks.length && done === known.done) return;
    this.#state.exercises[exercise] = { tasks: union, ...(done ? { done } : {}) };
    this.#changed();
  }

  clear(): void {
    this.#state = { exercises: {}, chapters: {} };
    this.#changed();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Settles when everything so far is on the disk. Throws what the last write threw. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  /** Called with the error when a write fails; the state is kept in memory and written with the next change. */
  onWriteError: (error: unknown) => void = (error) => console.error(`The progress could not be saved: ${error}`);

  #changed(): void {
    for (const listener of this.#listeners) listener();
    if (this.#dirty) return;
    // One write after another; each writes the state as it is then, so that at most one ever waits.
    this.#dirty = true;
    this.#writing = this.#writing.then(() => this.#write()).catch((error) => this.onWriteError(error));
  }

  async #write(): Promise<void> {
    this.#dirty = false;
    const beside = `${this.file}.new`;
    const handle = await open(beside, 'w', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify({ formatVersion: 1, ...this.#state }, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, this.file);
  }
}

function parse(text: string): { state: Mutable } | { reason: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { reason: 'it is not JSON' };
  }
  const result = schema.safeParse(value);
  if (!result.success) return { reason: `${result.error.issues[0]?.path.join('.') || 'it'} is not what it should be` };
  const { formatVersion: _, ...state } = result.data;
  return { state };
}
