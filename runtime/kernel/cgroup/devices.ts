/**
 * Which devices a container may open: the rules, and what they are on the version 1 controller `devices`, where they apply in order
 * and a new cgroup has its parent's. On version 2 they are a program (device-program.ts). kernel:
 * Documentation/admin-guide/cgroup-v1/devices.rst; runtime-spec: config-linux.md, Allowed Device list.
 */
import { TareError } from '../error.js';
import type { Setting } from './setting.js';
import type { DeviceRule } from './types.js';

const BY_DEFAULT = 'default';

/** What every container may use: the devices that the specification demands, terminals, and nodes that it cannot open. */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  { allow: false, field: BY_DEFAULT },
  { allow: true, type: 'c', access: 'm', field: BY_DEFAULT },
  { allow: true, type: 'b', access: 'm', field: BY_DEFAULT },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm', field: BY_DEFAULT }, // null
  { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm', field: BY_DEFAULT }, // zero
  { allow: true, type: 'c', major: 1, minor: 7, access: 'rwm', field: BY_DEFAULT }, // full
  { allow: true, type: 'c', major: 1, minor: 8, access: 'rwm', field: BY_DEFAULT }, // random
  { allow: true, type: 'c', major: 1, minor: 9, access: 'rwm', field: BY_DEFAULT }, // urandom
  { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm', field: BY_DEFAULT }, // tty
  { allow: true, type: 'c', major: 5, minor: 2, access: 'rwm', field: BY_DEFAULT }, // ptmx
  { allow: true, type: 'c', major: 136, access: 'rwm', field: BY_DEFAULT }, // pts/*
];

/** A rule whose fields are known to make sense, with the defaults put in. */
export interface CheckedRule {
  readonly allow: boolean;
  readonly type: 'a' | 'b' | 'c';
  readonly major: number | 'any';
  readonly minor: number | 'any';
  /** One to three of the letters rwm. */
  readonly access: string;
}

/**
 * Each rule is a line, or two, written to `devices.allow` or `devices.deny`. A rule about all devices undoes what came
 * before it, so that is checked and not written.
 */
export function deviceSettings(rules: readonly DeviceRule[], field: string): Setting[] {
  const checked = checkDeviceRules(rules, field);
  const last = checked.findLastIndex(isAboutAll);
  return checked.slice(Math.max(last, 0)).flatMap((rule) =>
    ruleLines(rule).map((value) => ({
      controller: 'devices',
      file: rule.allow ? 'devices.allow' : 'devices.deny',
      value,
      field: rule.field,
    })),
  );
}

/** @throws TareError `config`, with the path of the field that is wrong */
export function checkDeviceRules(rules: readonly DeviceRule[], field: string): (CheckedRule & { field: string })[] {
  return rules.map((rule, i) => {
    const path = rule.field ?? `${field}[${i}]`;
    return { ...checkDeviceRule(rule, path), field: path };
  });
}

function checkDeviceRule(rule: DeviceRule, path: string): CheckedRule {
  const { type = 'a', access = 'rwm' } = rule;
  if (type !== 'a' && type !== 'b' && type !== 'c')
    throw new TareError('config', `${path}.type must be a, b or c`, { path: `${path}.type` });
  if (!/^[rwm]{1,3}$/.test(access))
    throw new TareError('config', `${path}.access must be of the letters rwm`, { path: `${path}.access` });
  const major = numberOrAny(rule.major, MAX_MAJOR, `${path}.major`);
  const minor = numberOrAny(rule.minor, MAX_MINOR, `${path}.minor`);
  return { allow: rule.allow, type, major, minor, access };
}

/** Of a line for type `a` the kernel reads nothing else, and takes it for all devices and accesses: what is less needs a line a type. */
function ruleLines({ type, major, minor, access }: CheckedRule): string[] {
  const rest = `${numberText(major)}:${numberText(minor)} ${access}`;
  const whole = isAboutAll({ type, major, minor, access });
  return type === 'a' && !whole ? [`b ${rest}`, `c ${rest}`] : [`${type} ${rest}`];
}

function isAboutAll({ type, major, minor, access }: Omit<CheckedRule, 'allow'>): boolean {
  return type === 'a' && major === 'any' && minor === 'any' && new Set(access).size === 3;
}

/** What fits a dev_t of the kernel: 12 bits of major, 20 of minor (<linux/kdev_t.h>). */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

function numberOrAny(number: number | undefined, max: number, path: string): number | 'any' {
  if (number === undefined || number === -1) return 'any';
  if (!Number.isInteger(number) || number < 0 || number > max)
    throw new TareError('config', `${path} must be a number from 0 to ${max}, or -1 for any`, { path });
  return number;
}

function numberText(number: number | 'any'): string {
  return number === 'any' ? '*' : String(number);
}
