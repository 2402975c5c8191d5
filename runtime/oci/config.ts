/**
 * config.json of an OCI bundle: what its fields may hold. Read with `parseConfig` (validate.ts). The schemas are in the
 * order of the specification, config.md of https://github.com/opencontainers/runtime-spec; its larger parts have files of
 * their own: process.ts, linux.ts, resources.ts, seccomp.ts.
 */
import { idMappings } from './fields.js';
import { linuxSchema } from './linux.js';
import { freebsdSchema, solarisSchema, vmSchema, zosSchema } from './platforms.js';
import { processSchema } from './process.js';
import { anything, array, flag, integer, mapped, object, optional, record, type TypeOf, text } from './schema.js';

const mount = object({
  // Relative ones are deprecated, and are "interpreted as relative to /".
  destination: mapped(text, (path) => (path.startsWith('/') ? path : `/${path}`)),
  type: optional(text),
  source: optional(text),
  options: optional(array(text)),
  uidMappings: optional(idMappings),
  gidMappings: optional(idMappings),
});

/** A program of the host (startContainer: of the container). `args[0]` is its name for itself; `timeout` is in seconds. */
const hook = object({
  path: text,
  args: optional(array(text)),
  env: optional(array(text)),
  timeout: optional(integer(1, 2 ** 31 - 1)),
});
const hookList = optional(array(hook));

/** In the order in which they come. runtime.md#lifecycle */
export const HOOK_NAMES = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const;
export type HookName = (typeof HOOK_NAMES)[number];

const hooks = object({
  prestart: hookList,
  createRuntime: hookList,
  createContainer: hookList,
  startContainer: hookList,
  poststart: hookList,
  poststop: hookList,
} satisfies Record<HookName, typeof hookList>);

export const configSchema = object({
  ociVersion: text,
  root: optional(object({ path: text, readonly: optional(flag) })),
  mounts: optional(array(mount)),
  process: optional(processSchema),
  hostname: optional(text),
  domainname: optional(text),
  hooks: optional(hooks),
  annotations: optional(record(text)),
  linux: optional(linuxSchema),
  solaris: optional(solarisSchema),
  windows: optional(anything),
  vm: optional(vmSchema),
  zos: optional(zosSchema),
  freebsd: optional(freebsdSchema),
});

export type Config = TypeOf<typeof configSchema>;
export type Mount = TypeOf<typeof mount>;
export type Hook = TypeOf<typeof hook>;
export type Hooks = TypeOf<typeof hooks>;
