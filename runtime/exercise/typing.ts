/**
 * Types a script into a terminal the way a learner would: a line, Enter, and the next one when the shell shows its prompt
 * again. So a script may enter shells within shells (`unshare … bash`), which a script given to one shell could not.
 */
import { stripVTControlCharacters } from 'node:util';
import { TareError } from '../kernel/error.js';
import type { Terminal } from '../vm/machine.js';

/** Longest time a line may take until the prompt is back, in milliseconds. */
const LINE_MS = 30_000;
/** A prompt counts once nothing has come after it for so long, in milliseconds: output may hold "# " in its middle. */
const QUIET_MS = 60;
/** The end of what bash, dash and busybox show when they wait for a command, or for the rest of one. */
const PROMPT = /[#$>] $/;
/** The lines of a script that are typed: no comments, no empty lines. */
export function typedLines(script: string): string[] {
  return script.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

/** @throws TareError `timeout` when the prompt does not come back, `machine` when the terminal ends before the last line. */
export async function typeScript(terminal: Terminal, script: string): Promise<void> {
  const screen = new Screen(terminal);
  try {
    // A shell that has shown its prompt long ago shows it again for Enter; one that is still starting takes it for a first line.
    screen.forget();
    terminal.write('\r');
    await screen.prompt('Enter');
    const lines = typedLines(script);
    for (const [index, line] of lines.entries()) {
      screen.forget();
      terminal.write(`${line}\r`);
      // Nothing needs to follow the last line: its effect is what a check looks for.
      await screen.prompt(line, index === lines.length - 1);
    }
  } finally {
    screen.close();
  }
}

/** What a terminal has shown since the last line, and whether it ends in a prompt. */
class Screen {
  #shown = '';
  #changed: () => void = () => undefined;
  #over = false;
  readonly #undo: () => void;

  constructor(terminal: Terminal) {
    this.#undo = terminal.onData((data) => {
      this.#shown = (this.#shown + data.toString('utf8')).slice(-8192);
      this.#changed();
    });
    void terminal.exited.then(() => {
      this.#over = true;
      this.#changed();
    });
  }

  /** From now on only what comes counts, and the echo of Enter has to come first. */
  forget(): void {
    this.#shown = '';
  }

  async prompt(after: string, mayEnd = false): Promise<void> {
    const deadline = Date.now() + LINE_MS;
    for (;;) {
      if (this.#over) {
        if (mayEnd) return;
        throw new TareError('machine', `the terminal ended while this was running in it: ${after}`);
      }
      const ready = this.#isPrompt();
      const left = deadline - Date.now();
      if (left <= 0) {
        throw new TareError('timeout', `no prompt came back within ${LINE_MS / 1000} seconds after: ${after}`);
      }
      const changed = await this.#change(ready ? QUIET_MS : left);
      if (ready && !changed) return;
    }
  }

  close(): void {
    this.#undo();
    this.#changed = () => undefined;
  }

  #isPrompt(): boolean {
    const plain = stripVTControlCharacters(this.#shown);
    return plain.includes('\n') && PROMPT.test(plain);
  }

  /** True when something was shown, or the terminal ended, within the time. */
  #change(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(false), ms);
      const done = (changed: boolean): void => {
        clearTimeout(timer);
        this.#changed = () => undefined;
        resolve(changed);
      };
      this.#changed = () => done(true);
    });
  }
}
