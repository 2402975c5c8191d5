/** Attack 16: a container id that leaves the state root, or breaks what is printed. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inWorld } from '../harness/world.js';

const IDS = ['../x', '..', '.', 'a/b', '/etc', 'a\nb', 'a\x1b[31m', '', 'x'.repeat(5000), '-rf'];

it.each(IDS)('%j is refused by every command that takes an id', (id) =>
  inWorld('attack16', async (world) => {
    const precious = join(world.folder, 'x');
    mkdirSync(precious);
    writeFileSync(join(precious, 'state.json'), '{"formatVersion":1}');
    for (const words of [
      ['tare', 'run', '--rootfs', '/', `--name=${id}`, '--', 'true'],
      ['tare', 'delete', '--force', '--', id],
      ['tare', 'kill', '--', id],
      ['tare-oci', 'run', '--bundle', '/', '--', id],
      ['tare-oci', 'delete', '--force', '--', id],
      ['tare-oci', 'state', '--', id],
      ['tare-oci', 'create', '--bundle', '/', '--', id],
      ['tare-oci', 'exec', '--', id, 'true'],
    ]) {
      const ran = await world.run(words);
      // runc's callers expect 1 of a runtime that could not do what was asked.
      expect(ran.status, words.join(' ')).toBe(words[1] === 'exec' ? 255 : words[0] === 'tare-oci' ? 1 : 125);
      expect(ran.stderr).toMatch(/^tare(-oci)?: [\x20-\x7e…’“”]+\n$/);
    }
    expect(readdirSync(precious)).toEqual(['state.json']);
  }),
);
