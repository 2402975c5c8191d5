/** Typing into a terminal: a line at a time, each when the prompt is back, whatever the shell paints around it. */
import { describe, expect, it } from 'vitest';
import { typeScript } from '../../runtime/exercise/index.js';
import { typedLines } from '../../runtime/exercise/typing.js';
import type { Terminal } from '../../runtime/vm/index.js';

/** A shell that echoes, answers from a table, and shows its prompt in pieces. */
function shell(prompt: string, answers: Readonly<Record<string, string | null>> = {}) {
  const typed: string[] = [];
  const listeners = new Set<(data: Buffer) => void>();
  let end: (status: number) => void = () => undefined;
  const show = (text: string) => {
    for (const listener of listeners) listener(Buffer.from(text));
  };
  const terminal: Terminal = {
    pid: 1,
    onData(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    write(data) {
      const line = String(data).replace(/\r$/, '');
      if (line) typed.push(line);
      show(`${line}\r\n`);
      const answer = answers[line];
      if (answer === null) return end(0);
      setTimeout(() => show(`${answer ?? ''}${prompt.slice(0, 3)}`), 5);
      setTimeout(() => show(prompt.slice(3)), 10);
    },
    resize: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    exited: new Promise((resolve) => {
      end = resolve;
    }),
    close: () => undefined,
  };
  return { terminal, typed, listeners };
}

describe('a script', () => {
  it('is typed without its comments and empty lines', () => {
    expect(typedLines('# why\n\nunshare bash\n  # inner\necho a # b\n')).toEqual([
      'unshare bash',
      '  # inner',
      'echo a # b',
    ]);
  });

  it.each([
    ['bash in colour', '\x1b[?2004h\x1b[1;32mroot@lab\x1b[0m:\x1b[1;34m~\x1b[0m# '],
    ['a window title', '\x1b]0;root@lab: ~\x07root@lab:~# '],
    ['busybox', '/ # '],
    ['a user', 'user@lab:~$ '],
    ['the rest of a command', '> '],
  ])('is typed at the prompt of %s', async (_, prompt) => {
    const { terminal, typed, listeners } = shell(prompt, { 'ls -l': 'a\r\nb # c\r\n' });
    await typeScript(terminal, 'ls -l\necho done\n');
    expect(typed).toEqual(['ls -l', 'echo done']);
    expect(listeners.size).toBe(0);
  });

  it('whose terminal ends too early is an error that names the line; at its last line it is not', async () => {
    await expect(typeScript(shell('# ', { exit: null }).terminal, 'exit\necho\n')).rejects.toThrow(
      'the terminal ended while this was running in it: exit',
    );
    await typeScript(shell('# ', { exit: null }).terminal, 'echo\nexit\n');
  });
});
