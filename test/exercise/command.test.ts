/** `tare exercise`, as a person types it: a real machine in the background, and commands that act on it. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { listExercises } from '../../runtime/exercise/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';

const TARE = join(packageRoot(), 'dist/bin/tare');
let state: string;
beforeAll(() => {
  state = mkdtempSync(join(tmpdir(), 'tare-exercise-'));
});
afterAll(() => rmSync(state, { recursive: true }));

function tare(...args: string[]) {
  const env = { ...process.env, TARE_STATE: state, NO_COLOR: '1' };
  const { status, stdout, stderr } = spawnSync(TARE, ['exercise', ...args], {
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

describe('tare exercise', () => {
  it('lists every exercise', async () => {
    const { status, stdout } = tare('list');
    expect(status).toBe(0);
    for (const { id, title } of await listExercises())
      expect(stdout).toMatch(new RegExp(`${id} +${title.slice(0, 12)}`));
    const listed = JSON.parse(tare('list', '--json').stdout) as { id: string }[];
    expect(listed.map(({ id }) => id)).toEqual((await listExercises()).map(({ id }) => id));
  });

  it.each([
    [['start', 'own-rot'], 'tare: there is no exercise "own-rot": did you mean own-root?\n'],
    [['start', '../etc'], 'tare: there is no exercise "../etc": see "tare exercise list"\n'],
    [['check'], 'tare: no exercise is running: begin one with "tare exercise start"\n'],
    [['solve', 'join'], 'tare: the exercise join is not running: begin it with "tare exercise start join"\n'],
    [['check', '../../x'], 'tare: there is no exercise "../../x": see "tare exercise list"\n'],
  ])('%j is one clear sentence', (args, sentence) => {
    expect(tare(...args)).toEqual({ status: 125, stdout: '', stderr: sentence });
  });

  it('starts, checks, solves and resets, and leaves nothing', { timeout: 600_000 }, async () => {
    const env = { ...process.env, TARE_STATE: state, NO_COLOR: '1' };
    const start = spawn(TARE, ['exercise', 'start', 'own-hostname'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let shown = '';
    start.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
    });
    const ended = new Promise<number | null>((resolve) => start.once('exit', resolve));
    try {
      await vi.waitFor(() => expect(shown).toContain('○ Start a shell in a UTS namespace'), { timeout: 300_000 });
      const socket = join(state, 'exercise', 'own-hostname.sock');
      expect(statSync(socket).mode & 0o777).toBe(0o600);

      const open = tare('check');
      expect(open.status).toBe(1);
      expect(open.stdout).toContain('the kernel says  every process is in uts:[');
      expect(tare('start', 'own-hostname').stderr).toContain('is running already');

      const solved = tare('solve');
      expect(solved.stdout).toContain('unshare --uts --ipc bash');
      expect(solved.stdout).not.toContain('○');
      expect(solved.status).toBe(0);
      expect(tare('check', 'own-hostname').status).toBe(0);
      await vi.waitFor(() => expect(shown).toContain('All done.'), { timeout: 30_000 });

      expect(tare('reset')).toMatchObject({ status: 0, stdout: 'own-hostname begins again, in a fresh machine\n' });
      expect(tare('check').status).toBe(1);
    } finally {
      start.kill('SIGTERM');
    }
    expect(await ended).toBe(1);
    expect(readdirSync(join(state, 'exercise'))).toEqual([]);
  });
});
