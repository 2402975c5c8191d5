import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseMountInfo, propagation } from '../../runtime/kernel/mountinfo.js';
import { failureOf } from './support.js';

const one = (line: string) => parseMountInfo(`${line}\n`)[0];

describe('mountinfo', () => {
  it('has all fields of the man page’s example', () => {
    expect(one('36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue')).toEqual({
      id: 36,
      parent: 35,
      major: 98,
      minor: 0,
      root: '/mnt1',
      mountPoint: '/mnt2',
      options: ['rw', 'noatime'],
      shared: undefined,
      master: 1,
      propagateFrom: undefined,
      unbindable: false,
      fsType: 'ext3',
      source: '/dev/root',
      superOptions: ['rw', 'errors=continue'],
    });
  });

  it.each([
    ['no optional field', '-', {}],
    ['one', 'shared:7 -', { shared: 7 }],
    ['three', 'shared:7 master:3 propagate_from:2 -', { shared: 7, master: 3, propagateFrom: 2 }],
    ['one without a value', 'unbindable -', { unbindable: true }],
    ['one that is not known yet', 'novel:1 shared:7 -', { shared: 7 }],
  ])('may have %s', (_, fields, expected) => {
    expect(one(`1 2 0:5 / /a rw ${fields} tmpfs none rw`)).toMatchObject({ fsType: 'tmpfs', ...expected });
  });

  it('has spaces, newlines, backslashes and hashes as octal numbers', () => {
    const mount = one(String.raw`1 2 0:5 /a\040b /x\012y\134z rw - fuse.s3\043 s\043rc\040 rw,lowerdir=/a\040b`);
    expect(mount).toMatchObject({ root: '/a b', mountPoint: '/x\ny\\z', fsType: 'fuse.s3#', source: 's#rc ' });
    expect(mount?.superOptions).toEqual(['rw', 'lowerdir=/a b']);
  });

  it('may have no source, and a dash anywhere else', () => {
    expect(one('1 2 0:5 / /- rw - tmpfs  rw')).toMatchObject({ mountPoint: '/-', source: '', fsType: 'tmpfs' });
    expect(one('1 2 0:5 / /a rw - tmpfs - rw')).toMatchObject({ source: '-' });
  });

  it.each(['nonsense', '1 2 0:5 / /a rw', '1 2 x / /a rw - tmpfs none rw'])('refuses %j', (line) => {
    expect(failureOf(() => one(line))).toMatchObject({
      code: 'protocol',
      message: `this is no line of mountinfo: ${JSON.stringify(line)}`,
    });
  });

  it('of this process is read whole', () => {
    const text = readFileSync('/proc/self/mountinfo', 'utf8');
    const mounts = parseMountInfo(text);
    expect(mounts).toHaveLength(text.trimEnd().split('\n').length);
    expect(mounts).toContainEqual(expect.objectContaining({ mountPoint: '/proc', fsType: 'proc' }));
  });

  it('names propagation', () => {
    const names = ['-', 'shared:1 -', 'master:1 -', 'shared:1 master:2 -', 'unbindable -'].map((fields) => {
      const mount = one(`1 2 0:5 / /a rw ${fields} tmpfs none rw`);
      return mount && propagation(mount);
    });
    expect(names).toEqual(['private', 'shared', 'slave', 'slave,shared', 'unbindable']);
  });
});
