/**
 * One learner's page: a machine, its terminals, at most one attempt at an exercise, and the socket of the page while it is
 * open. The session outlives the socket by a grace period, so that a reload finds the same machine; what it must never do is
 * hold a machine that nobody uses, or end the server because a machine misbehaved.
 */
import { TareError } from '../../runtime/kernel/error.js';
import type { Machine, MachineEnd, MachineProvider, Terminal } from '../../runtime/vm/machine.js';
import type { ClientMessage, LimitsView, MachineView } from '../protocol.js';
import { PROTOCOL } from '../protocol.js';
import { Desk } from './desk.js';
import type { Library } from './library.js';
import type { Progress } from './progress.js';
import { type Page, Terminals } from './terminals.js';

export interface SessionContext {
  readonly provider: MachineProvider;
  readonly library: Library;
  readonly progress: Progress;
  readonly limits: LimitsView;
  readonly log: (sentence: string) => void;
}

/** What a learner asks for to go on: a failure of these is always news. */
const RENEWING: readonly ClientMessage['type'][] = ['chapter.open', 'machine.new', 'exercise.start'];

export class Session {
  #page: Page | undefined;
  #machine: Machine | undefined;
  #machineView: MachineView = { state: 'none' };
  readonly #desk: Desk;
  readonly #terminals: Terminals;
  #generation = 0;
  /** How often machine or attempt were taken away under whatever was going on. */
  #replaced = 0;
  /** The machine being made, if one is: only one at a time. */
  #working: Promise<void> | undefined;
  #disposed = false;
  #lastInput = Date.now();

  constructor(
    readonly id: string,
    private readonly context: SessionContext,
  ) {
    this.#desk = new Desk(context.library, context.progress, (message) => this.#page?.post(message));
    this.#terminals = new Terminals(context.limits.terminals, () => this.#page);
  }

  get attached(): boolean {
    return this.#page !== undefined;
  }

  /** When the learner last did something, as Date.now(). */
  get lastInput(): number {
    return this.#lastInput;
  }

  get hasMachine(): boolean {
    return this.#machine !== undefined;
  }

  attach(page: Page): void {
    this.#page = page;
    this.#lastInput = Date.now();
    page.post({
      type: 'welcome',
      protocol: PROTOCOL,
      limits: this.context.limits,
      machine: this.#machineView,
      terminals: this.#terminals.views,
      attempt: this.#desk.view,
      progress: this.context.progress.view,
    });
    for (const terminal of this.#terminals.all) terminal.replay(page);
  }

  detach(page: Page): void {
    if (this.#page === page) this.#page = undefined;
  }

  input(terminal: number, data: Uint8Array): void {
    this.#lastInput = Date.now();
    // A frame for a terminal that has just gone is no fault of the page.
    this.#terminals.get(terminal)?.write(data);
  }

  /** The socket has taken what it was given. */
  drained(): void {
    for (const terminal of this.#terminals.all) terminal.relieve();
  }

  /** Does what the page asks; failures become a `failed` message, never an exception. */
  async handle(message: ClientMessage): Promise<void> {
    if (message.type !== 'terminal.ack') this.#lastInput = Date.now();
    const replaced = this.#replaced;
    try {
      await this.#act(message);
    } catch (error) {
      // What failed because the learner has gone on to another machine meanwhile is no news to him.
      const superseded = this.#replaced !== replaced && !RENEWING.includes(message.type);
      const { code, sentence } = superseded ? { code: 'superseded', sentence: '' } : this.#explain(error);
      this.#page?.post({ type: 'failed', request: 'request' in message ? message.request : undefined, code, sentence });
    }
  }

  pushProgress(): void {
    this.#page?.post({ type: 'progress', progress: this.context.progress.view });
  }

  /** Takes the machine away from a learner who does nothing; the page offers a new one. */
  async retire(sentence: string): Promise<void> {
    const machine = this.#machine;
    if (machine) this.#lost(machine, { reason: 'idle', message: sentence });
    await machine?.close();
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#page = undefined;
    const machine = this.#machine;
    this.#drop();
    await machine?.close();
    await this.#working?.catch(() => undefined);
  }

  async #act(message: ClientMessage): Promise<void> {
    switch (message.type) {
      case 'chapter.open':
        return this.#openChapter(message.chapter);
      case 'chapter.read':
        await this.#findChapter(message.chapter);
        return this.context.progress.readChapter(message.chapter);
      case 'machine.new':
        return this.#renew();
      case 'terminal.open':
        await this.#openTerminal(message, undefined, message.request);
        return;
      case 'terminal.resize':
        return this.#terminals.get(message.terminal)?.resize(message.columns, message.rows);
      case 'terminal.ack':
        return this.#terminals.get(message.terminal)?.acknowledge(message.bytes);
      case 'terminal.close':
        return this.#terminals.get(message.terminal)?.close();
      case 'exercise.start':
        return this.#renew(message.exercise);
      case 'exercise.check':
        return this.#desk.check();
      case 'exercise.solution': {
        const { attempt } = this.#desk;
        this.#page?.post({ type: 'solution', exercise: attempt.exercise.id, text: await attempt.solution() });
        return;
      }
      case 'exercise.solve':
        return this.#solve(message);
    }
  }

  async #openChapter(id: string): Promise<void> {
    // The machine starts while the chapter is looked for: the learner waits for both. After a machine has ended the page
    // offers a new one, and opening a chapter is taking the offer.
    const machine = this.#machine || this.#working ? undefined : this.#renew();
    const chapter = this.#findChapter(id);
    await Promise.all([machine, chapter.then(() => this.#enterChapter(id))]);
  }

  #enterChapter(id: string): void {
    this.context.progress.openChapter(id);
    if (this.#desk.view && this.#desk.view.chapter !== id) this.#clearDesk();
  }

  async #findChapter(id: string) {
    const chapter = (await this.context.library.chapters()).find(
      (chapter) => chapter.id === id && chapter.status === 'written',
    );
    if (!chapter) throw new TareError('not-found', `There is no chapter “${id}”.`);
    return chapter;
  }

  /** Replaces the machine by a fresh one, with the starting state of the exercise if one is named. */
  async #renew(exercise?: string): Promise<void> {
    if (this.#working) throw new TareError('busy', 'A machine is being prepared already: wait until it is there.');
    this.#working = this.#prepare(exercise);
    try {
      await this.#working;
    } finally {
      this.#working = undefined;
    }
  }

  async #prepare(wanted: string | undefined): Promise<void> {
    const chapters = wanted ? await this.context.library.chapters() : [];
    const chapter = chapters.find(({ exercises }) => exercises.some(({ id }) => id === wanted));
    const exercise = chapter?.exercises.find(({ id }) => id === wanted);
    if (wanted && !exercise) throw new TareError('not-found', `There is no exercise “${wanted}”.`);

    const began = performance.now();
    const old = this.#machine;
    this.#drop();
    this.#show({ state: 'starting', sentence: 'The machine is starting.' });
    if (chapter && exercise) this.#desk.prepare(exercise, chapter.id);

    let machine: Machine;
    try {
      await old?.close();
      machine = await this.context.provider.create({
        onProgress: (text) => this.#show({ state: 'starting', sentence: asSentence(text) }),
      });
    } catch (error) {
      this.#clearDesk();
      this.#show({ state: 'refused', ...this.#explain(error) });
      return;
    }
    if (this.#disposed) return machine.close();
    this.#machine = machine;
    this.#generation += 1;
    void machine.ended.then((end) => this.#lost(machine, end));

    if (exercise && chapter) {
      try {
        await this.#desk.begin(exercise, chapter.id, machine, () => this.#machine === machine);
      } catch (error) {
        this.#drop();
        this.#show({ state: 'refused', ...this.#explain(error) });
        return machine.close();
      }
    }
    if (this.#machine !== machine) return;
    this.#show({
      state: 'ready',
      generation: this.#generation,
      accelerator: machine.accelerator,
      restored: machine.restored,
      milliseconds: Math.round(performance.now() - began),
    });
  }

  /** A terminal in the machine that there is now. */
  #openTerminal(size: { columns: number; rows: number }, title?: string, request?: number): Promise<Terminal> {
    const machine = this.#machine;
    if (!machine || this.#machineView.state !== 'ready') {
      throw new TareError('machine', 'There is no machine to open a terminal in.');
    }
    return this.#terminals.open(machine, size, title, request);
  }

  /** Types the solution into a new terminal of the page, for all to see. */
  async #solve(size: { columns: number; rows: number }): Promise<void> {
    const { attempt } = this.#desk;
    await attempt.solve(await this.#openTerminal(size, 'Solution'));
    await this.#desk.check();
    this.#page?.post({ type: 'solved', exercise: attempt.exercise.id });
  }

  /** The machine ended without being asked to. */
  #lost(machine: Machine, end: MachineEnd): void {
    if (this.#machine !== machine) return;
    this.#drop();
    this.#show({ state: 'ended', reason: end.reason, sentence: asSentence(end.message) });
    this.context.log(`session ${this.id.slice(0, 8)}: ${machine.id}: ${end.message}`);
  }

  /** Forgets the machine and what was in it; the caller closes it. */
  #drop(): void {
    this.#clearDesk();
    this.#machine = undefined;
    this.#terminals.clear();
  }

  #clearDesk(): void {
    this.#replaced += 1;
    this.#desk.clear();
  }

  #show(machine: MachineView): void {
    this.#machineView = machine;
    this.#page?.post({ type: 'machine', machine });
  }

  /** What to tell the learner; what is not meant for people goes to the log. */
  #explain(error: unknown): { code: string; sentence: string } {
    if (error instanceof TareError) return { code: error.code, sentence: asSentence(error.message) };
    this.context.log(`session ${this.id.slice(0, 8)}: ${error instanceof Error ? error.stack : error}`);
    return { code: 'internal', sentence: 'Something went wrong inside the lab; its terminal shows what.' };
  }
}

/** Errors are phrases that fit behind a program's name; on a page they stand alone. */
function asSentence(text: string): string {
  const whole = /[.!?]$/.test(text) ? text : `${text}.`;
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}
