/** What is said when a registry has not given an image: a way to make it here, where there is one. */
import { expect, it } from 'vitest';
import { explainPull } from '../../runtime/image/obtain.js';
import { parseReference } from '../../runtime/image/reference.js';
import { TareError } from '../../runtime/kernel/error.js';
import { makeStore } from './registry/real.js';

it.each([
  ['debian', 'docker.io cannot be reached ("tare image bootstrap debian" makes localhost/debian from Debian packages)'],
  ['quay.io/team/app', 'docker.io cannot be reached'],
])('%s', async (name, message) => {
  using one = await makeStore();
  const failed = new TareError('protocol', 'docker.io cannot be reached');
  expect(await explainPull(one.store, parseReference(name), failed)).toMatchObject({ code: 'protocol', message });
});
