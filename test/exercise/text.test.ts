/** Attack 31 on a terminal: what a machine says of a task cannot move the cursor or clear the screen. */
import { expect, it } from 'vitest';
import { formatTasks } from '../../runtime/cli/exercise-text.js';
import type { Exercise } from '../../runtime/exercise/index.js';

it('shows escapes of a verdict as text', () => {
  const exercise = { tasks: [{ id: 'name', prompt: 'Change the name.' }] } as unknown as Exercise;
  const verdict = { ok: false, fault: 'x', says: 'a\x1b[2Jb\rc', where: '/proc\u202e', expected: 'box' } as const;
  const text = formatTasks(exercise, [{ id: 'name', state: 'open', verdict }]);
  expect(text).toContain('a\\x1b[2Jb\\x0dc');
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});
