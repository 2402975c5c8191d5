/**
 * Steps a plan through: lets one step run at a time, of all lanes, always in the same order, and compares what the kernel
 * says about each lane's process before and after.
 */

import { type Change, diffFacts, inspectProcess, localProc, type ProcessFacts } from '../inspect/index.js';
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { Promised } from '../kernel/promised.js';
import { formatStep, type Lane, type Plan, type RunOptions, type StepAt, type StepOutcome } from '../plan/index.js';
import { executionOrder, type Ordered } from '../plan/order.js';
import type { KeyPrompt } from './step-prompt.js';

/** The event of a pidfd whose process has ended. */
const READABLE = 1;

/** These never come back from the kernel: the next step does not wait for them. */
const LAST = new Set(['exec', 'exec_fd', 'exit', 'supervise']);

export class Stepper implements Required<Pick<RunOptions, 'beforeStep' | 'afterStep'>> {
  readonly #print: (text: string) => void;
  readonly #prompt: KeyPrompt | undefined;
  readonly #source = localProc();
  readonly #processes = new Map<Lane, { readonly pid: number; facts: ProcessFacts | undefined }>();
  readonly #waiting = new Map<string, { go: () => void; stop: (reason: unknown) => void }>();
  readonly #stopping = new Promised<never>();
  #order: Ordered[] = [];
  #cursor = 0;
  #busy = false;
  #ended = false;
  /** Until which step of the inside lane no key is asked for. */
  #runTo = 0;

  constructor(print: (text: string) => void, prompt: KeyPrompt | undefined) {
    this.#print = print;
    this.#prompt = prompt;
    if (prompt === undefined) this.#runTo = Number.POSITIVE_INFINITY;
  }

  begin(plan: Plan): void {
    this.#order = executionOrder(plan);
  }

  watch(lane: Lane, pid: number): void {
    this.#whenEnded(pid);
    // A new process is compared with the one that it came from: what is new about it are its namespaces.
    this.#processes.set(lane, { pid, facts: this.#processes.get('outside')?.facts });
  }

  /** A step that failed has ended its lane: the others, which stand before steps whose turn never comes, are let go. */
  #whenEnded(pid: number): void {
    const pidfd = native.pidfdOpen(pid);
    const watcher = native.watch(pidfd, READABLE, () => {
      watcher.close();
      native.close(pidfd);
      this.#ended = true;
      for (const waiting of this.#waiting.values()) waiting.go();
    });
    watcher.unref();
  }

  /** A lane stands before a step; the promise resolves when it is this step's turn. */
  readonly beforeStep = (at: StepAt): Promise<void> =>
    new Promise((resolve, reject) => {
      if (this.#ended) resolve();
      this.#waiting.set(key(at), { go: resolve, stop: reject });
      void this.#advance();
    });

  readonly afterStep = async (at: StepAt, outcome: StepOutcome): Promise<void> => {
    await this.#show(at, outcome);
    this.#cursor++;
    this.#busy = false;
    void this.#advance();
  };

  /** The program has taken the place of stage: what that changed. */
  async finish(): Promise<void> {
    this.#print(await this.#changes());
  }

  /** The next step does not run, and none after it: the plan fails with this reason, and is undone. */
  stop(reason: TareError): void {
    this.#stopping.reject(reason);
  }

  /** If the step whose turn it is has arrived, it may go. */
  async #advance(): Promise<void> {
    const next = this.#order[this.#cursor];
    const waiting = next && this.#waiting.get(key(next));
    if (this.#busy || !next || !waiting) return;
    this.#busy = true;
    this.#waiting.delete(key(next));
    const isLast = LAST.has(next.step.kind);
    try {
      if (this.#cursor === 0) await this.#changes(); // the first look: what is there before
      await Promise.race([this.#stopping.promise, this.#stopsBefore(next) ? this.#ask(next) : undefined]);
      if (isLast) this.#print(this.#heading(next, 'never comes back'));
    } catch (reason) {
      this.#print('\n'); // what is said of it must not begin behind the question
      waiting.stop(reason);
      return;
    }
    waiting.go();
    if (!isLast) return;
    this.#cursor++;
    this.#busy = false;
    void this.#advance();
  }

  #stopsBefore({ lane, index }: Ordered): boolean {
    if (this.#prompt === undefined || this.#runTo === Number.POSITIVE_INFINITY) return false;
    return this.#runTo === 0 || (lane === 'inside' && index + 1 >= this.#runTo);
  }

  async #ask(next: Ordered): Promise<void> {
    for (let asking = this.#prompt !== undefined; asking; ) {
      this.#print(`\x1b[2m${this.#title(next)}  ${formatStep(next.step)}\x1b[0m\x1b[K\r`);
      const answer = await (this.#prompt as KeyPrompt).ask();
      this.#print('\x1b[K');
      const objection = answer.go === 'to' ? this.#objection(answer.step) : undefined;
      if (objection !== undefined) this.#print(`${objection}\n`);
      else this.#runTo = answer.go === 'next' ? 0 : answer.go === 'to' ? answer.step : Number.POSITIVE_INFINITY;
      asking = objection !== undefined;
    }
  }

  /** Why one cannot go on to that step of the inside lane. */
  #objection(step: number): string | undefined {
    const inside = (steps: readonly Ordered[]) => steps.filter(({ lane }) => lane === 'inside');
    const count = inside(this.#order).length;
    if (step < 1 || step > count) return `the inside lane has the steps 1 to ${count}`;
    const next = inside(this.#order.slice(this.#cursor))[0]?.index ?? count;
    if (step <= next) return `step ${step} is past`;
    return this.#order[this.#cursor]?.lane === 'inside' && step === next + 1 ? `step ${step} is the next` : undefined;
  }

  async #show(at: StepAt, outcome: StepOutcome): Promise<void> {
    const note = outcome.skipped ? 'skipped' : (outcome.tolerated ?? `${(outcome.ns / 1000).toFixed(1)} µs`);
    this.#print(this.#heading(at, note) + (outcome.skipped ? '' : await this.#changes()));
  }

  #title({ lane, index }: Pick<StepAt, 'lane' | 'index'>): string {
    return `${lane.padEnd(7)} ${String(index + 1).padStart(3)}`;
  }

  #heading(at: Pick<StepAt, 'lane' | 'index' | 'step'>, note: string): string {
    return `${this.#title(at)}  ${formatStep(at.step)}  [${note}]\n             ${at.step.field}: ${at.step.why}\n`;
  }

  /** What changed, for every process of the plan, since the last look. */
  async #changes(): Promise<string> {
    const lines: string[] = [];
    for (const [lane, process] of this.#processes) {
      const facts = await this.#look(process.pid);
      if (facts && process.facts) {
        for (const change of diffFacts(process.facts, facts).filter(isTelling)) {
          lines.push(`             ${SIGN[change.what]} ${lane === 'inside' ? '' : `${lane}: `}${change.text}\n`);
        }
      }
      process.facts = facts ?? process.facts;
    }
    return lines.join('');
  }

  /** undefined when it has ended, or may not be looked at (a user who is not root, once it is not dumpable). */
  async #look(pid: number): Promise<ProcessFacts | undefined> {
    try {
      return await inspectProcess(this.#source, pid);
    } catch (error) {
      if (error instanceof TareError && (error.code === 'not-found' || error.code === 'permission')) return undefined;
      throw error;
    }
  }
}

const SIGN: Readonly<Record<Change['what'], string>> = { added: '+', removed: '-', changed: '~' };

/** The number of open descriptors changes with every other step, and says nothing of the container. */
function isTelling({ area, name }: Change): boolean {
  return area !== 'descriptor' && name !== 'state' && name !== 'parent';
}

function key({ lane, index }: Pick<StepAt, 'lane' | 'index'>): string {
  return `${lane} ${index}`;
}
