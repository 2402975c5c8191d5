/** The progress display, against a terminal that interprets what it writes, and against a pipe. */
import { describe, expect, it } from 'vitest';
import { formatBytes, makeTransferProgress, type ProgressOutput } from '../../runtime/cli/progress.js';

const MB = 1_000_000;

/** A terminal as large as it is told to be, with the few sequences that the display writes; anything else is an error. */
class Screen implements ProgressOutput {
  readonly isTTY = true;
  readonly lines: string[] = [''];
  #row = 0;
  constructor(
    readonly columns = 80,
    readonly rows = 24,
  ) {}

  write(text: string): void {
    for (const [part] of text.replaceAll('\x1b', '␛').matchAll(/␛\[\??\d*[A-Za-z]|\n|\r|[^␛\n\r]+/g)) {
      if (part === '\n') {
        this.#row++;
        this.lines[this.#row] ??= '';
      } else if (part === '␛[J') this.lines.splice(this.#row, Number.POSITIVE_INFINITY, '');
      else if (/^␛.*A$/.test(part)) {
        const up = Number(part.slice(2, -1));
        // A terminal cannot go back to what it has scrolled away.
        expect(up).toBeLessThan(this.rows);
        this.#row -= up;
      } else if (part === '\r' || part === '␛[?7l' || part === '␛[?7h') continue;
      else {
        expect(part).not.toMatch(/\p{Cc}/u);
        this.lines[this.#row] += part;
      }
    }
  }
}

/** After the next frame. */
const frame = () => new Promise((resolve) => setTimeout(resolve, 150));

describe('on a terminal', () => {
  it('shows a bar for each layer, and redraws it in place', async () => {
    const screen = new Screen();
    const { report, close } = makeTransferProgress(screen);
    report({ id: 'aaaa', action: 'downloading', current: 0, total: 10 * MB });
    report({ id: 'bbbb', action: 'downloading', current: 5 * MB, total: 10 * MB });
    await frame();
    expect(screen.lines).toEqual([
      `aaaa: downloading [>${' '.repeat(38)}]      0 B of 10.0 MB`,
      `bbbb: downloading [${'='.repeat(19)}>${' '.repeat(19)}]  5.00 MB of 10.0 MB`,
      '',
    ]);
    report({ id: 'aaaa', action: 'downloading', current: 10 * MB, total: 10 * MB });
    await frame();
    expect(screen.lines[0]).toContain(`[${'='.repeat(39)}]`);
    expect(screen.lines).toHaveLength(3);
    close();
  });

  it('keeps what has ended above what goes on', async () => {
    const screen = new Screen();
    const { report, close } = makeTransferProgress(screen);
    report({ id: 'aaaa', action: 'downloading', current: 1, total: 2 });
    report({ id: 'bbbb', action: 'exists' });
    await frame();
    report({ id: 'aaaa', action: 'done', detail: 'downloaded' });
    report({ id: 'cccc', action: 'unpacking', current: 1, total: 4 });
    await frame();
    expect(screen.lines.slice(0, 2)).toEqual(['bbbb: there already', 'aaaa: downloaded']);
    expect(screen.lines[2]).toMatch(/^cccc: unpacking \[/);
    close();
    expect(screen.lines.slice(2)).toEqual(['cccc: unpacking 4 B', '']);
  });

  it.each([20, 40, 60, 200])('never writes more than %d columns', async (columns) => {
    const screen = new Screen(columns);
    const { report, close } = makeTransferProgress(screen);
    report({ id: 'aaaa', action: 'downloading', current: MB, total: 2 * MB });
    report({ id: 'x'.repeat(300), action: 'uploading', current: MB, total: 2 * MB });
    report({ id: 'bbbb', action: 'retrying', detail: 'the registry says '.repeat(20) });
    await frame();
    report({ id: 'aaaa', action: 'done', detail: 'y'.repeat(300) });
    await frame();
    close();
    expect(screen.lines.length).toBeGreaterThan(3);
    for (const line of screen.lines) expect(line.length).toBeLessThan(columns);
  });

  it('of a hundred layers it shows as many as there are rows, and never scrolls its own frame away', async () => {
    const screen = new Screen(80, 10);
    const { report, close } = makeTransferProgress(screen);
    for (let i = 0; i < 100; i++) report({ id: `layer${i}`, action: 'waiting' });
    await frame();
    await frame();
    expect(screen.lines).toHaveLength(9);
    expect(screen.lines[7]).toBe('… and 93 more');
    for (let i = 0; i < 100; i++) report({ id: `layer${i}`, action: 'done' });
    close();
    expect(screen.lines).toHaveLength(101);
  });
});

describe('where there is no terminal', () => {
  function lines(): { written: string[]; out: ProgressOutput } {
    const written: string[] = [];
    return { written, out: { write: (text) => written.push(text) } };
  }

  it('says a line when something else begins', () => {
    const { written, out } = lines();
    const { report, close } = makeTransferProgress(out);
    report({ id: 'aaaa', action: 'waiting' });
    for (let i = 0; i <= 10; i++) report({ id: 'aaaa', action: 'downloading', current: i * MB, total: 10 * MB });
    report({ id: 'aaaa', action: 'retrying', detail: 'the connection was reset' });
    report({ id: 'aaaa', action: 'downloading', current: 10 * MB, total: 10 * MB });
    report({ id: 'aaaa', action: 'done', detail: 'downloaded' });
    close();
    expect(written).toEqual([
      'aaaa: downloading 10.0 MB\n',
      'aaaa: trying again: the connection was reset\n',
      'aaaa: downloading 10.0 MB\n',
      'aaaa: downloaded\n',
    ]);
  });

  it('shows the control characters of a stranger as text', () => {
    const { written, out } = lines();
    makeTransferProgress(out).report({ id: 'a\x1b[2Ja', action: 'retrying', detail: 'one\ntwo \u202e\x9b31m\x07' });
    expect(written).toEqual(['a\\x1b[2Ja: trying again: one two \\u{202e}\\x9b31m\\x07\n']);
  });
});

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [12_345_678, '12.3 MB'],
  [999_999_999, '1.00 GB'],
  [123_456_789_012, '123 GB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
