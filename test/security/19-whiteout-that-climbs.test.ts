/** Attack 19: a whiteout of `..`, or below a symbolic link, removes what lies outside. */
import { describe, expect, it } from 'vitest';
import { attack, naively } from './layers.js';

describe('a whiteout', () => {
  it.each(['.wh.', '.wh..', '.wh...', 'd/.wh...', '.wh...//', './/.wh..'])('named %s is refused', async (name) => {
    const { refused, changes } = await attack([{ name: 'd/', type: '5' }, { name }]);
    expect(refused).toMatch(/is a whiteout of nothing that has a name$/);
    expect(changes).toEqual([]);
  });

  it('of ".." would remove what is around the layer', async () => {
    expect(
      (await naively([{ name: 'd/', type: '5' }, { name: 'd/e/', type: '5' }, { name: '../../.wh.victim' }])).changes,
    ).not.toEqual([]);
    expect((await attack([{ name: '../../.wh.victim' }])).refused).toMatch(/"\.\."/);
  });

  it.each(['.wh.victim', '.wh..wh..opq'])('below a symbolic link is refused: %s', async (whiteout) => {
    const layer = [{ name: 'l', type: '2', link: '../..' }, { name: `l/${whiteout}` }];
    if (whiteout === '.wh.victim') expect((await naively(layer)).changes).not.toEqual([]);
    const { refused, changes, inside } = await attack(layer);
    expect(refused).toMatch(/is a whiteout below a symbolic link$/);
    expect({ changes, inside }).toEqual({ changes: [], inside: ['l'] });
  });

  it('has nothing below it', async () => {
    expect((await attack([{ name: '.wh.d/', type: '5' }, { name: '.wh.d/f' }])).refused).toMatch(
      /lies below a whiteout/,
    );
  });

  it('is not hidden as a device or a hard link to one', async () => {
    expect((await attack([{ name: 'etc', type: '3', major: 0, minor: 0 }])).refused).toMatch(/0:0/);
    expect((await attack([{ name: '.wh.a' }, { name: 'b', type: '1', link: 'a' }])).refused).toMatch(/removes/);
  });
});
