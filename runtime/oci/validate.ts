/**
 * Reads and validates config.json: its JSON, its version, each field's type, and the rules between fields that config.md
 * states. One TareError names the first fault by its JSON path; `checkConfig` gives them all.
 */
import { closeSync, openSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { TareError } from '../kernel/error.js';
import { parseExactJson } from '../kernel/exact-json.js';
import { OPEN_UNTRUSTED, readRegular } from '../kernel/read-regular.js';
import { type Config, configSchema } from './config.js';
import type { Linux } from './linux.js';
import type { OverlayFolders } from './overlay.js';
import { type Process, processSchema } from './process.js';
import { type Resources, resourcesSchema } from './resources.js';
import { rulesBetweenFields } from './rules/index.js';
import { idsNotMapped } from './rules/mappings.js';
import { processFaults } from './rules/process.js';
import { resourcesFaults } from './rules/resources.js';
import type { Fault } from './schema.js';

/** A bundle: a folder with config.json and, usually, the root file system. */
export interface Bundle {
  /** Absolute. */
  readonly path: string;
  readonly config: Config;
  /** Absolute path of the root file system; with `overlay` an empty folder, over which that is mounted where only the container sees it. */
  readonly rootfs: string;
  /** The root file system is an overlay of these. Nobody looks into it before it is there.
   * The folders of the container's own may be made later (`CreateOptions.folder`): mounts from within `path` are of folders then. */
  readonly overlay?: OverlayFolders;
  /** Absolute path of another folder that is made with the container (`CreateOptions.folder`), for a mount to be of. */
  readonly ownFolder?: string;
  /** Of the process, with `overlay`: HOME where process.env names none. `/` unless told. */
  readonly home?: string;
}

/** @throws TareError `not-found`, `config` or `unsupported`, with `path` naming the field */
export function loadBundle(folder: string): Bundle {
  const path = resolve(folder);
  const file = join(path, 'config.json');
  const config = parseConfig(readConfig(file), file);
  if (config.root === undefined) throw new TareError('config', `${file}: root is missing`, { path: 'root' });
  const rootfs = isAbsolute(config.root.path) ? config.root.path : join(path, config.root.path);
  return { path, config, rootfs };
}

/** @throws TareError `config` or `unsupported`; `file` is named in the sentence */
export function parseConfig(json: string, file = 'config.json'): Config {
  return validConfig(parseDocument(json, file), file);
}

/** @throws TareError `config` */
export function parseDocument(json: string, file: string): unknown {
  let value: unknown;
  try {
    value = parseExactJson(json);
  } catch (cause) {
    throw new TareError('config', `${file} is not valid JSON: ${(cause as Error).message}`, { cause });
  }
  return value;
}

/** As `parseConfig`, for a value that is there already. */
export function validConfig(value: unknown, file = 'config.json'): Config {
  const { config, faults } = checkConfig(value);
  throwFirst('config', faults, file);
  return config;
}

/**
 * The process of `exec`: a document that holds what `process` of config.json does. What it must fit to is in `linux`.
 * @throws TareError `config`
 */
export function validProcess(value: unknown, linux: Linux | undefined, file = 'process.json'): Process {
  const faults: Fault[] = [];
  const process = processSchema.read(value, '', faults);
  if (faults.length === 0) faults.push(...processFaults(process, ''));
  if (faults.length === 0) faults.push(...idsNotMapped(process, linux, ''));
  throwFirst('config', faults, file);
  return process;
}

/**
 * The limits of `update`: a document that holds what `linux.resources` of config.json does.
 * @throws TareError `config`
 */
export function validResources(value: unknown, file = 'resources.json'): Resources {
  const faults: Fault[] = [];
  const resources = resourcesSchema.read(value, '', faults);
  if (faults.length === 0) faults.push(...resourcesFaults(resources, ''));
  throwFirst('config', faults, file);
  return resources;
}

/** One sentence for all faults: the first of them, and how many more there are. @throws TareError if there is any */
export function throwFirst(code: 'config' | 'unsupported', [first, ...others]: readonly Fault[], file: string): void {
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more ${others.length === 1 ? 'fault' : 'faults'})`;
  throw new TareError(code, `${file}: ${first.path || 'the document'} ${first.message}${more}`, { path: first.path });
}

/** All faults by the specification. The config is to be used only when there are none. */
export function checkConfig(value: unknown): { config: Config; faults: Fault[] } {
  const faults: Fault[] = [];
  const config = configSchema.read(value, '', faults);
  // Of what is no document at all there is nothing more to say.
  if (faults[0]?.path === '') return { config, faults };
  // A document of another version may differ in every other field: its version is the one thing to say.
  const version = faults.some((fault) => fault.path === 'ociVersion') ? [] : versionFault(config.ociVersion);
  if (version.length > 0) return { config, faults: version };
  if (faults.length > 0) return { config, faults };
  return { config, faults: rulesBetweenFields(config) };
}

/**
 * All 1.x versions are compatible: "minor versions only add". Drafts before 1.0 are taken at their word: their bundles are
 * still about, with fields that mostly are today's; those that are not are refused by their types.
 */
function versionFault(version: string): Fault[] {
  if (SEMVER.test(version) && Number(version.split('.')[0]) <= 1) return [];
  return [{ path: 'ociVersion', message: `must be a version 1.x.y, not ${JSON.stringify(version)}` }];
}

/** https://semver.org/spec/v2.0.0.html: containerd and Podman send such as 1.0.2-dev and 1.1.0+dev. */
const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

/** Thousands of mounts fit in; what is larger was not meant to be read whole. */
const MAX_CONFIG = 16 * 2 ** 20;

function readConfig(file: string): string {
  try {
    const fd = openSync(file, OPEN_UNTRUSTED);
    try {
      return readRegular(fd, MAX_CONFIG).toString();
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new TareError(
        'not-found',
        `${file} does not exist: a bundle is a folder with config.json and a root file system`,
        {
          cause,
          path: file,
        },
      );
    }
    throw new TareError('config', `${file} cannot be read: ${(cause as Error).message}`, { cause, path: file });
  }
}
