import { describe, expect, it } from 'vitest';
import { containerId } from '../../runtime/oci/index.js';

describe('a container id', () => {
  it.each(['a', 'web-1', 'A_b.c+d', '0', 'x'.repeat(240)])('may be %s', (id) => {
    expect(containerId(id)).toBe(id);
  });

  it.each([
    '',
    '.',
    '..',
    '../x',
    'a/b',
    '/a',
    '-a',
    '_a',
    'a b',
    'a\n',
    '\na',
    'a\0',
    'ä',
    'a:b',
    'x'.repeat(241),
    'x'.repeat(5000),
  ])('may not be %j', (id) => {
    expect(() => containerId(id)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
