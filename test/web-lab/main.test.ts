/** The lab's command line: wrong flags are one sentence and exit code 125, and nothing is started. */
import { afterEach, expect, it, vi } from 'vitest';
import { main } from '../../web-lab/server/main.js';

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

it.each([
  [['--port', 'abc'], '--port abc: give a number from 0 to 65535'],
  [['--port', '65536'], '--port 65536: give a number from 0 to 65535'],
  [['--machines', '0'], '--machines 0: give a number from 1 to 64'],
  [['--idle', '-1'], "Option '--idle' argument is ambiguous"],
  [['--verbose'], "Unknown option '--verbose'"],
  [['there'], "Unexpected argument 'there'"],
])('%j is refused', async (flags, sentence) => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  await main(['node', 'lab', ...flags]);
  expect(said).toHaveBeenCalledOnce();
  expect(said.mock.calls[0]?.[0]).toContain(`tare: ${sentence}`);
  expect(process.exitCode).toBe(125);
});

it('--help says what there is', async () => {
  const said = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  await main(['node', 'lab', '--help']);
  expect(said.mock.calls[0]?.[0]).toContain('--port PORT');
});
