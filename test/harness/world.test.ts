/** The leak check must see each kind of leak: a check that cannot fail would be worth nothing. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeWorld, type World } from './world.js';

describe('a world', () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld('harness');
  });
  afterAll(() => world.close());

  it('runs commands in namespaces of its own', async () => {
    const { stdout, status } = await world.run(['sh', '-c', 'ls /proc | grep -c "^[0-9]"; ip -o link | wc -l; exit 3']);
    const [processes, links] = stdout.trim().split('\n').map(Number) as [number, number];
    expect(status).toBe(3);
    expect(processes).toBeLessThan(8);
    expect(links).toBe(1);
  });

  it('starts empty', async () => {
    expect(await world.leaks()).toEqual([]);
  });

  it('sees a mount, a process, a cgroup, a link and a file that stay', async () => {
    await world.run(['mount', '-t', 'tmpfs', 'none', '/mnt']);
    await world.run(['sh', '-c', 'sleep 100 >/dev/null 2>&1 & ip link add leak0 type bridge']);
    mkdirSync(join('/sys/fs/cgroup/pids', world.cgroup, 'leak'), { recursive: true });
    writeFileSync(join(world.folder, 'tmp', 'leak'), '');
    expect((await world.leaks(undefined, { waitMs: 100 })).sort()).toEqual([
      `cgroup pids${world.cgroup}/leak`,
      'file tmp/leak',
      'link leak0',
      'mount /mnt (tmpfs)',
      expect.stringMatching(/^process \d+ sleep$/),
    ]);
  });
});
