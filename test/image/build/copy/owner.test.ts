/** Owners of what is copied, by the names that the image knows. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolveOwner } from '../../../../runtime/image/build/copy/index.js';
import { native } from '../../../../runtime/kernel/addon.js';
import { make, withPlace } from './place.js';

describe('owners by name', () => {
  it.each<[string, object | string]>([
    ['5', { uid: 5, gid: 5 }],
    ['5:6', { uid: 5, gid: 6 }],
    ['web', { uid: 33, gid: 34 }],
    ['web:staff', { uid: 33, gid: 50 }],
    ['5:staff', { uid: 5, gid: 50 }],
    ['web:7', { uid: 33, gid: 7 }],
    ['nobody', 'has no "nobody"'],
    ['5:nogroup', 'has no "nogroup"'],
    ['evil', 'an id that is none'],
    ['', '--chown is UID[:GID]'],
    [':', '--chown is UID[:GID]'],
    ['1:2:3', '--chown is UID[:GID]'],
    ['-1', 'an id is a number'],
    ['4294967295', 'an id is a number'],
    ['99999999999', 'an id is a number'],
  ])('%j', async (text, expected) => {
    await withPlace(({ root }) => {
      make(root, 'etc/passwd: ', 'etc/group: ');
      writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:\nweb:x:33:34::/:\nevil:x:-1:0::/:\n');
      writeFileSync(join(root, 'etc/group'), 'staff:x:50:\n');
      const fd = native.open(root, 0);
      try {
        if (typeof expected === 'string') expect(() => resolveOwner(fd, text)).toThrow(expected);
        else expect(resolveOwner(fd, text)).toEqual(expected);
      } finally {
        native.close(fd);
      }
    });
  });

  it('a root without files has none', () => {
    expect(() => resolveOwner(undefined, 'web')).toThrow('has no "web"');
    expect(resolveOwner(undefined, '1')).toEqual({ uid: 1, gid: 1 });
  });
});
