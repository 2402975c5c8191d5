/**
 * Attack 35: the annotations of an image, which engines hand on, name properties of the container's scope by which systemd would stop or
 * start units of the host, reboot it, or put the scope, and processes of the host, elsewhere.
 */
import { expect, it } from 'vitest';
import { annotatedProperties } from '../../runtime/kernel/systemd/annotations.js';

it.each([
  ['Wants', "['poweroff.target']"],
  ['Requires', "['emergency.service']"],
  ['BindsTo', "['other.service']"],
  ['Upholds', "['other.service']"],
  ['Conflicts', "['sshd.service']"],
  ['OnFailure', "['reboot.target']"],
  ['OnSuccess', "['reboot.target']"],
  ['PropagatesStopTo', "['sshd.service']"],
  ['SuccessAction', "'poweroff-immediate'"],
  ['FailureAction', "'reboot-force'"],
  ['JobTimeoutAction', "'reboot-force'"],
  ['StartLimitAction', "'reboot-force'"],
  ['Slice', "'-.slice'"],
  ['Delegate', 'false'],
  ['DevicePolicy', "'auto'"],
])('%s is refused', (name, value) => {
  const key = `org.systemd.property.${name}`;
  expect(() => annotatedProperties({ [key]: value })).toThrow(
    `annotations["${key}"] would reach beyond the scope of the container`,
  );
});

it.each(['PIDs', 'DeviceAllow'])('%s has no value that could be written', (name) => {
  expect(() => annotatedProperties({ [`org.systemd.property.${name}`]: '[1]' })).toThrow(/no value/);
});
