/** What the rules of this folder are made of: a rule looks at a config whose types are right, and gives faults. */
import { posix } from 'node:path';
import type { Config } from '../config.js';
import type { NamespaceType } from '../linux.js';
import type { Fault } from '../schema.js';

export type Rule = (config: Config) => Fault[];

/** The JSON path of a field below another; `at` is empty for a document of its own. */
export function below(at: string, field: string): string {
  return at === '' ? field : `${at}.${field}`;
}

export function absolute(path: string, value: string | undefined): Fault[] {
  if (value === undefined || posix.isAbsolute(value)) return [];
  return [{ path, message: `must be an absolute path, not ${JSON.stringify(value)}` }];
}

/** One fault, when what must not be is so. */
export function faultIf(wrong: boolean, path: string, message: string): Fault[] {
  return wrong ? [{ path, message }] : [];
}

/** Whether the container has a namespace of a kind that is not simply the runtime's: a new one, or one joined by path. */
export function hasNamespace({ linux }: Pick<Config, 'linux'>, type: NamespaceType): boolean {
  return linux?.namespaces?.some((namespace) => namespace.type === type) ?? false;
}

/** Whether the container gets a new namespace of a kind. */
export function createsNamespace({ linux }: Pick<Config, 'linux'>, type: NamespaceType): boolean {
  return linux?.namespaces?.some((namespace) => namespace.type === type && !namespace.path) ?? false;
}
