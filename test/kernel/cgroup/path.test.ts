/** Paths of cgroups: what is refused, and where they lie. */
import { describe, expect, it } from 'vitest';
import { checkCgroupPath } from '../../../runtime/kernel/cgroup/index.js';
import { failureOf } from '../support.js';

describe('the path', () => {
  it.each([
    ['/tare/x', '/tare/x'],
    ['//tare///x/', '/tare/x'],
    ['tare/x', 'tare/x'],
    ['...', '...'],
  ])('%j is %j', (path, checked) => {
    expect(checkCgroupPath(path)).toBe(checked);
  });

  it.each([
    ['/tare/../x', 'has a component "." or ".."'],
    ['..', 'has a component "." or ".."'],
    ['a/./b', 'has a component "." or ".."'],
    ['', 'names no cgroup of its own'],
    ['/', 'names no cgroup of its own'],
    ['a\nb', 'has a control character'],
    ['a\0b', 'has a control character'],
    ['system.slice:tare:x', 'is systemd’s form slice:prefix:name; give a plain path, such as /tare/name'],
    ['x'.repeat(256), 'has a component of more than 255 bytes'],
    ['x/'.repeat(2000), 'is longer than 2048 bytes'],
  ])('%j is refused', (path, why) => {
    expect(failureOf(() => checkCgroupPath(path))).toMatchObject({
      code: 'config',
      path: 'linux.cgroupsPath',
      message: `the cgroup path ${JSON.stringify(path)} ${why}`,
    });
  });
});
