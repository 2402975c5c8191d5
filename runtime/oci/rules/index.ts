/**
 * The rules of config.md and config-linux.md that no single field's type can state: what depends on another field, lists
 * within a text, paths that must be absolute. What depends on this machine's kernel is not here: plan/compile says it.
 */
import type { Config } from '../config.js';
import type { Fault } from '../schema.js';
import { ofAnnotations, ofHooks } from './hooks.js';
import { ofDevices, ofIntelRdt, ofMemoryPolicy, ofPaths } from './linux.js';
import { ofMappings } from './mappings.js';
import { ofMounts, ofRoot } from './mounts.js';
import { ofNames, ofNamespaces, ofNetDevices, ofTimeOffsets } from './namespaces.js';
import { ofProcess } from './process.js';
import { ofResources } from './resources.js';
import type { Rule } from './rule.js';
import { ofSeccomp } from './seccomp.js';
import { ofSysctls } from './sysctl.js';

/** In the order in which a reader meets the fields. */
const RULES: readonly Rule[] = [
  ofRoot,
  ofProcess,
  ofMounts,
  ofHooks,
  ofAnnotations,
  ofNamespaces,
  ofMappings,
  ofNames,
  ofTimeOffsets,
  ofNetDevices,
  ofDevices,
  ofPaths,
  ofResources,
  ofIntelRdt,
  ofMemoryPolicy,
  ofSysctls,
  ofSeccomp,
];

export function rulesBetweenFields(config: Config): Fault[] {
  return RULES.flatMap((rule) => rule(config));
}
