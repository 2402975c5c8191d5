/** Which of an image's volumes a container gets. */
import { expect, it } from 'vitest';
import { volumesOf } from '../../../runtime/image/run/volumes.js';

const image = (...volumes: string[]) => ({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers' as const, diff_ids: [] },
  config: { Volumes: Object.fromEntries(volumes.map((path) => [path, {}])) },
});

it.each([
  [
    ['/data', 'srv//x/', '/data'],
    ['/data', '/srv/x'],
  ],
  [['/', '/..', '/.'], []],
  // CVE-2019-16884: an image's own files where the kernel's are looked for.
  [['/proc', '/proc/self', '/sys/fs', '/dev', '/dev/shm', '/x/../proc'], []],
  [
    ['/process', '/system', '/devel'],
    ['/devel', '/process', '/system'],
  ],
])('of %j: %j', (asked, had) => {
  expect(volumesOf(image(...asked), '/c', []).map(({ destination }) => destination)).toEqual(had);
});

it('gives way to what is mounted there anyway', () => {
  expect(volumesOf(image('/data'), '/c', [{ destination: '/data/' }])).toEqual([]);
});
