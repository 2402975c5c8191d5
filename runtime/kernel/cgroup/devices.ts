/**
 * Which devices a container may open, on the version 1 controller `devices`. Rules apply in order; a new cgroup has its
 * parent's. kernel: Documentation/admin-guide/cgroup-v1/devices.rst; runtime-spec: config-linux.md, Allowed Device list.
 */
import { TareError } from '../error.js';
import type { Setting } from './limits.js';
import type { DeviceRule } from './types.js';

/** What every container may use: the devices that the specification demands, terminals, and nodes that it cannot open. */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  { allow: false },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' }, // null
  { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' }, // zero
  { allow: true, type: 'c', major: 1, minor: 7, access: 'rwm' }, // full
  { allow: true, type: 'c', major: 1, minor: 8, access: 'rwm' }, // random
  { allow: true, type: 'c', major: 1, minor: 9, access: 'rwm' }, // urandom
  { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm' }, // tty
  { allow: true, type: 'c', major: 5, minor: 2, access: 'rwm' }, // ptmx
  { allow: true, type: 'c', major: 136, access: 'rwm' }, // pts/*
];

/** Each rule is a line written to `devices.allow` or `devices.deny`. */
export function deviceSettings(rules: readonly DeviceRule[], field: string): Setting[] {
  return rules.map((rule, i) => ({
    controller: 'devices',
    file: rule.allow ? 'devices.allow' : 'devices.deny',
    value: ruleLine(rule, `${field}[${i}]`),
    field: `${field}[${i}]`,
  }));
}

function ruleLine(rule: DeviceRule, path: string): string {
  const type = rule.type ?? 'a';
  const access = rule.access ?? 'rwm';
  if (!['a', 'b', 'c'].includes(type))
    throw new TareError('config', `${path}.type must be a, b or c`, { path: `${path}.type` });
  if (!/^[rwm]{1,3}$/.test(access))
    throw new TareError('config', `${path}.access must be of the letters rwm`, { path: `${path}.access` });
  return `${type} ${numberOrAny(rule.major)}:${numberOrAny(rule.minor)} ${access}`;
}

function numberOrAny(number: number | undefined): string {
  return number === undefined || number < 0 ? '*' : String(number);
}
