/** Attack 13 on `exec --cgroup`: a path that climbs out of the container's cgroup, to where its limits do not hold. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { changedProcess } from '../../runtime/container/index.js';
import { runBundle } from '../system/bundle.js';

const CLIMBING = [
  '..',
  '../..',
  '/..',
  '/../..',
  'a/../..',
  './../x',
  '../tare',
  'x/..',
  '/../../../../..',
  'a\n',
  '..\0',
];

it('is refused, and starts nothing', async () => {
  await using it = await runBundle((config) => {
    config.linux.resources = { pids: { limit: 20 } };
  });
  const process = changedProcess(it.container.config, { args: ['sleep', '1000'] });
  for (const path of [
    ...CLIMBING,
    ...CLIMBING.map((one) => `pids:${one}`),
    ...CLIMBING.map((one) => `pids,nothing:${one}`),
  ])
    await expect(it.container.exec({ process, cgroup: path }), path).rejects.toMatchObject({ code: 'usage' });
  expect(it.container.processes()).toEqual([it.pid]);
});

it('a slash is the container’s own cgroup', async () => {
  await using it = await runBundle(() => undefined);
  const process = changedProcess(it.container.config, { args: ['sleep', '1000'] });
  for (const cgroup of ['/', '.', '///']) {
    const { pid } = await it.container.exec({ process, cgroup });
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toBe(readFileSync(`/proc/${it.pid}/cgroup`, 'utf8'));
  }
});
