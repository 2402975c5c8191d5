/** What is said when a registry has not given an image: a way to make it here, where there is one. */
import { expect, it } from 'vitest';
import { explainPull } from '../../runtime/image/obtain.js';
import { parseReference } from '../../runtime/image/reference.js';
import { TareError } from '../../runtime/kernel/error.js';
import { busyboxImage, putImage } from '../harness/images.js';
import { makeStore } from './registry/real.js';

it.each([
  ['debian', 'docker.io cannot be reached ("tare image bootstrap debian" makes localhost/debian from Debian packages)'],
  ['quay.io/team/app', 'docker.io cannot be reached'],
])('%s', async (name, message) => {
  using one = await makeStore();
  const failed = new TareError('network', 'docker.io cannot be reached');
  expect(await explainPull(one.store, parseReference(name), failed)).toMatchObject({ code: 'network', message });
});

it.each([
  [
    'another tag, of what is not there',
    'not-found',
    'localhost/busybox:2',
    'no (did you mean "localhost/busybox:1", which is here?)',
  ],
  ['nothing, of what is here for another platform', 'not-found', 'localhost/busybox:1', 'no'],
  ['nothing, when the registry has too much to do', 'busy', 'localhost/busybox:2', 'no'],
  ['nothing, of what cannot be understood', 'protocol', 'localhost/busybox:2', 'no'],
] as const)('%s', async (_, code, name, message) => {
  using one = await makeStore();
  await putImage(one.store, busyboxImage(), 'localhost/busybox:1');
  expect(await explainPull(one.store, parseReference(name), new TareError(code, 'no'))).toMatchObject({
    code,
    message,
  });
});
