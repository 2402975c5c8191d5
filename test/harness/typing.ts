/** A person at a terminal (script(1)): reads what a command shows, and types, or does something else, when a question appears. */
import type { World } from './world.js';

/** Pids as the world has them. */
export interface Pids {
  readonly terminal: number;
  /** The shell that runs the words; the command itself if they begin with `exec`. */
  readonly command: number;
}

export type Answer = string | typeof CLOSE | ((pids: Pids) => unknown);

/** Instead of keys: the terminal is closed, as by a window manager. */
export const CLOSE = Symbol('close');

/** Runs the words in a terminal, and gives each answer when its question has appeared behind the last one. */
export function typing(
  world: World,
  words: string,
  answers: readonly [question: string, answer: Answer][],
): Promise<{ shown: string; status: number | null }> {
  const child = world.start(['script', '-qec', `echo "pids $PPID $$"; ${words}`, '/dev/null']);
  const left = [...answers];
  let shown = '';
  let at = 0;
  const pids = () => {
    const [, terminal, command] = /^pids (\d+) (\d+)/.exec(shown) ?? [];
    return { terminal: Number(terminal), command: Number(command) };
  };
  const give = (answer: Answer) => {
    if (typeof answer === 'string') child.stdin?.write(answer);
    else if (answer === CLOSE) void world.run(['kill', '-KILL', `${pids().terminal}`]);
    else answer(pids());
  };
  return new Promise((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      for (let next = left[0]; next && shown.includes(next[0], at); next = left[0]) {
        at = shown.indexOf(next[0], at) + next[0].length;
        left.shift();
        give(next[1]);
      }
    });
    child.on('close', (status) => resolve({ shown, status }));
  });
}
