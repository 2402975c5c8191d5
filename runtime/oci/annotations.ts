/**
 * The annotations of config.json that change what Tare does. Whoever passes on annotations of strangers must know them, so
 * `features` lists them. One that ends in a dot is the beginning of many. features.md#unsafe-annotations-in-configjson
 */
import { SYSTEMD_PROPERTIES } from '../kernel/systemd/annotations.js';
import type { Config } from './config.js';

/** All of them. */
export const ANNOTATIONS = [
  // crun's; Podman's `--group-add keep-groups` sets it.
  'run.oci.keep_original_groups',
  // runc's; they are for the scope that --systemd-cgroup makes.
  SYSTEMD_PROPERTIES,
] as const;

/** The value of one; undefined where config.json does not have it. */
export function annotation({ annotations = {} }: Config, name: (typeof ANNOTATIONS)[number]): string | undefined {
  return Object.hasOwn(annotations, name) ? annotations[name] : undefined;
}
