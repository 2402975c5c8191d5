/**
 * Base images out of Debian packages, for who has no registry at hand. They have names of their own below `localhost/`, which no registry has
 * too, so that nobody takes them for Docker's. Made once: what is there already is left as it is.
 */
import { TareError } from '../../kernel/error.js';
import type { Descriptor, Digest } from '../../oci/image/index.js';
import { loadImage } from '../image.js';
import { fullName, type Reference } from '../reference.js';
import type { ImageStore } from '../store/index.js';
import { BUSYBOX_NAMES, type BusyboxOptions, makeBusybox } from './busybox.js';
import { type DebianOptions, debianNames, makeDebian } from './debian.js';

export const BOOTSTRAPS = ['busybox', 'debian'] as const;
export type BootstrapName = (typeof BOOTSTRAPS)[number];

export interface Bootstrapped {
  readonly id: Digest;
  readonly target: Descriptor;
}

export interface BootstrapOptions extends BusyboxOptions, DebianOptions {
  /** Makes it anew. */
  readonly force?: boolean;
}

export interface BootstrapResult {
  readonly names: readonly Reference[];
  readonly id: Digest;
  /** False when it was there already. */
  readonly made: boolean;
}

/** @throws TareError `not-found` when a program is missing, `no-space`, `machine`, `usage`: nothing half-made is left then */
export async function bootstrap(
  store: ImageStore,
  what: BootstrapName,
  options: BootstrapOptions = {},
): Promise<BootstrapResult> {
  const names = what === 'debian' ? await debianNames(options) : BUSYBOX_NAMES;
  const there = options.force ? undefined : idOf(store, names[0] as Reference);
  if (there) return { names, id: there, made: false };
  const make = what === 'debian' ? makeDebian : makeBusybox;
  const { id } = await make(store, names, options);
  return { names, id, made: true };
}

/** A sentence for who cannot get one of these from a registry; undefined for any other image. */
export function bootstrapHint({ registry, repository }: Reference): string | undefined {
  const isOurs = registry === 'localhost' || (registry === 'docker.io' && repository.startsWith('library/'));
  const name = BOOTSTRAPS.find((one) => one === repository.replace(/^library\//, ''));
  if (!isOurs || name === undefined) return undefined;
  return `"tare image bootstrap ${name}" makes localhost/${name} from Debian packages`;
}

/** The image of that name, where it is one that can be used. */
function idOf(store: ImageStore, name: Reference): Digest | undefined {
  try {
    const { id, manifest } = loadImage(store, name);
    return manifest.layers.every(({ digest }) => store.content.has(digest)) ? id : undefined;
  } catch (error) {
    if (error instanceof TareError && (error.code === 'not-found' || error.code === 'protocol')) return undefined;
    throw new TareError('protocol', `${fullName(name)} cannot be read; --force makes it anew`, { cause: error });
  }
}
