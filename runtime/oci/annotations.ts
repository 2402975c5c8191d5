/**
 * The annotations of config.json that change what Tare does. Whoever passes on annotations of strangers must know them, so
 * `features` lists them, and they are read by this table alone. features.md#unsafe-annotations-in-configjson
 */
import type { Config } from './config.js';

export const ANNOTATIONS = [
  // crun's; Podman's `--group-add keep-groups` sets it.
  'run.oci.keep_original_groups',
] as const;

export function annotation({ annotations = {} }: Config, name: (typeof ANNOTATIONS)[number]): string | undefined {
  return Object.hasOwn(annotations, name) ? annotations[name] : undefined;
}
