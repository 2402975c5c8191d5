/** What `tare build` shows: lines where nobody watches, a picture on a terminal, and never what a program wants the terminal to do. */
import { describe, expect, it, vi } from 'vitest';
import { makeBuildProgress, plainText } from '../../runtime/cli/build-progress.js';
import type { BuildEvent } from '../../runtime/image/build/events.js';

const step = { number: 2, stage: 'maker', index: 1, total: 3, text: 'RUN make' };
const output = (text: string): BuildEvent => ({ kind: 'output', step, data: Buffer.from(text) });

function shown(
  mode: 'auto' | 'plain' | 'quiet',
  events: readonly BuildEvent[],
  screen: { isTTY?: boolean; columns?: number } = {},
) {
  let text = '';
  const progress = makeBuildProgress(mode, { ...screen, write: (more: string) => (text += more) });
  for (const event of events) progress.report(event);
  progress.close();
  return text;
}

describe('the progress of a build', () => {
  it('is lines, each with the number of its step', () => {
    const text = shown('auto', [
      { kind: 'started', step },
      output('one\ntw'),
      output('o\nthree'),
      { kind: 'done', step, ms: 1234 },
      { kind: 'started', step: { ...step, number: 3 } },
      { kind: 'cached', step: { ...step, number: 3 } },
      { kind: 'warning', text: 'careful' },
    ]);
    expect(text.replace(/\d\.\d{3}/g, 'T')).toBe(
      '#2 [maker 1/3] RUN make\n#2 T one\n#2 T two\n#2 three\n#2 DONE 1.2s\n#3 [maker 1/3] RUN make\n#3 CACHED\nwarning: careful\n',
    );
  });

  it('is nothing where it is to be quiet', () => {
    expect(shown('quiet', [{ kind: 'started', step }, output('x\n'), { kind: 'failed', step, ms: 1 }])).toBe('');
  });

  it('on a terminal leaves a line for each step that is done, as wide as it is', () => {
    const text = shown('auto', [{ kind: 'started', step }, output('x\n'), { kind: 'done', step, ms: 1200 }], {
      isTTY: true,
      columns: 40,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
    const plain = text.replace(/\x1b\[\d*m/g, '');
    expect(text).toContain('\x1b[32m');
    vi.stubEnv('NO_COLOR', '1');
    const colourless = shown(
      'auto',
      [
        { kind: 'started', step },
        { kind: 'failed', step, ms: 1200 },
      ],
      { isTTY: true },
    );
    vi.unstubAllEnvs();
    expect(colourless).toMatch(/^✗ \[maker 1\/3\] RUN make +1\.2s\n$/);
    expect(plain).toBe(`✓ ${'[maker 1/3] RUN make'.padEnd(32)} 1.2s\n`);
    expect(shown('plain', [{ kind: 'started', step }], { isTTY: true, columns: 40 })).toBe('#2 [maker 1/3] RUN make\n');
  });

  it('shows what programs print as text (attack 31)', () => {
    expect(plainText('a\x1b[31mred\x1b[0m\x1b[2J\x1b]0;title\x07\tb')).toBe('ared\\x1b[2J\\x1b]0;title\\x07    b');
    expect(shown('plain', [{ kind: 'started', step: { ...step, text: 'RUN \x1b[2J\nx' } }])).toBe(
      '#2 [maker 1/3] RUN \\x1b[2J x\n',
    );
    // A line that is written over and over: as it was at last.
    expect(shown('plain', [output(' 10%\r 50%\r100%\n')])).toMatch(/^#2 0\.000 100%\n$/);
  });
});
