/** Which hosts are this machine: surely, so that plain HTTP is spoken; perhaps, so that nobody from elsewhere may send us there. */
import { expect, it } from 'vitest';
import { endpointOf, isLoopback, mayBeThisMachine } from '../../../runtime/image/registry/endpoint.js';

it.each([
  ['http://localhost:5000/', true, true],
  ['http://a.localhost/', true, true],
  ['http://127.0.0.1/', true, true],
  ['http://127.1/', true, true],
  ['http://127.255.255.254/', true, true],
  ['http://[::1]:5000/', true, true],
  ['http://[::ffff:127.0.0.1]/', true, true],
  ['http://[::ffff:7fff:1]/', true, true],
  ['http://localhost./', false, true],
  ['http://a.localhost./', false, true],
  ['http://0.0.0.0/', false, true],
  ['http://[::]/', false, true],
  ['http://[::ffff:0.0.0.0]/', false, true],
  ['http://[::ffff:128.0.0.1]/', false, false],
  ['http://[::ffff:7f:1]/', false, false],
  ['http://[::7f00:1]/', false, false],
  ['http://localhost.example/', false, false],
  ['http://notlocalhost/', false, false],
  ['http://127.0.0.1.example/', false, false],
  ['http://10.0.0.1/', false, false],
])('%s: surely %s, perhaps %s', (address, surely, perhaps) => {
  const { hostname } = new URL(address);
  expect([isLoopback(hostname), mayBeThisMachine(hostname)]).toEqual([surely, perhaps]);
});

it.each([
  ['[::ffff:127.0.0.1]:5000', 'auto'],
  ['localhost.:5000', 'https'],
  ['0.0.0.0:5000', 'https'],
])('the registry %s is asked by %s', (registry, scheme) => {
  expect(endpointOf(registry).scheme).toBe(scheme);
});
