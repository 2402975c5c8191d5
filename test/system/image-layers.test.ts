/** `tare image layers`, as the command line has it. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStore } from '../../runtime/image/store/index.js';
import { makeImage, makeLayer, putImage } from '../harness/images.js';
import { makeWorld, type World } from '../harness/world.js';

let world: World;

const ESCAPES = 'evil\x1b[2Jname\u202e';
const image = makeImage(
  [
    makeLayer([
      { path: 'etc/' },
      { path: 'etc/big', content: Buffer.alloc(3000, 'x') },
      { path: 'etc/kept', content: Buffer.alloc(1000, 'y') },
      { path: 'var/cache/' },
      { path: 'var/cache/a', content: 'a' },
      { path: 'var/cache/b', content: 'b' },
    ]),
    makeLayer([{ path: 'etc/big', content: 'small' }, { path: 'var/.wh.cache' }, { path: ESCAPES, content: '' }]),
  ],
  {
    more: {
      history: [
        { created_by: '/bin/sh -c #(nop) ADD file:1234 in / ' },
        { created_by: 'ENV A=b', empty_layer: true },
        { created_by: '/bin/sh -c echo small >/etc/big\x1b]0;title\x07 && rm -r /var/cache' },
      ],
    },
  },
);

beforeAll(async () => {
  world = await makeWorld('image-layers');
  using store = await ImageStore.open(join(world.folder, 'root/images'));
  await putImage(store, image, 'localhost/app:1');
});
afterAll(() => world.close());

describe('tare image layers', () => {
  it('has a line for each layer, with the command that made it', async () => {
    const { status, stdout, stderr } = await world.tare(['image', 'layers', 'localhost/app:1']);
    expect([status, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^LAYER +STORED +FILES +ADDED +CHANGED +REMOVED +WASTED +CREATED BY$/);
    expect(lines[1]).toMatch(/^[0-9a-f]{12} +\d+ B +4\.00 kB +6 +0 +0 +3\.00 kB +ADD file:1234 in \/$/);
    expect(lines[2]).toMatch(
      /^[0-9a-f]{12} +\d+ B +5 B +1 +1 +3 +0 B +echo small >\/etc\/big\\x1b\]0;title\\x07 && rm/,
    );
    expect(lines.at(-2)).toBe('4.01 kB in files, 3.00 kB of them hidden by later layers: efficiency 25.0 %');
  });

  it('shows each path with --tree, its name escaped', async () => {
    const { stdout } = await world.tare(['image', 'layers', '--tree', 'localhost/app:1']);
    const second = stdout.slice(stdout.lastIndexOf('LAYER')).split('\n').slice(2, 7);
    expect(second).toEqual([
      '  ├─ etc/',
      '~ │  └─ big (5 B)',
      '+ ├─ evil\\x1b[2Jname\\u{202e}',
      '  └─ var/',
      '-    └─ cache/ (2 B, 2 below)',
    ]);
    expect(stdout).not.toContain('\x1b');
  });

  it('says the same to machines', async () => {
    const { stdout } = await world.tare(['image', 'layers', '--json', '--tree', 'localhost/app:1']);
    expect(JSON.parse(stdout)).toMatchObject({
      id: image.id,
      bytes: 4007,
      wasted: 3002,
      layers: [
        { diffId: image.layers[0]?.diffId, added: 6, changed: 0, removed: 0, wasted: 3002 },
        { added: 1, changed: 1, removed: 3, whiteouts: 1, changes: expect.any(Array) },
      ],
    });
    expect(stdout).not.toContain('\u202e');
  });

  it('says that there is no such image', async () => {
    const { status, stderr } = await world.tare(['image', 'layers', 'localhost/other']);
    expect(status).toBe(125);
    expect(stderr).toContain('there is no image "localhost/other" here');
  });
});
