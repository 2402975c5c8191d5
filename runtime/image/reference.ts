/**
 * Names of images, as Docker has them: `debian`, `debian:12`, `localhost:5000/a/b:tag@sha256:…`. A name without a host is of docker.io, one
 * there without a user of library; without tag and digest it is `latest`.
 * https://github.com/distribution/reference (the grammar), distribution-spec.md, "Pulling manifests"
 */
import { TareError } from '../kernel/error.js';
import { type Digest, isDigest } from '../oci/image/index.js';

/** A name in its parts. See `parseReference`, `fullName` and `familiarName` for it as text. */
export interface Reference {
  /** `docker.io`, `localhost:5000`. */
  readonly registry: string;
  /** `library/debian`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[\w][\w.-]{0,127}$/;
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`);
const MAX_NAME = 255;

/** @throws TareError `usage` that says which part is wrong */
export function parseReference(text: string): Reference {
  const [scheme] = /^[a-z][a-z-]*:\/\//i.exec(text) ?? [];
  if (scheme) throw wrong(text, `it is written without ${JSON.stringify(scheme)}`);
  const [beforeDigest, digest, ...more] = text.split('@') as [string, string?, ...string[]];
  if (more.length > 0) throw wrong(text, 'it has more than one @');
  if (digest !== undefined && !isDigest(digest)) throw wrong(text, `${JSON.stringify(digest)} is no digest`);
  const colon = beforeDigest.lastIndexOf(':');
  const hasTag = colon > beforeDigest.lastIndexOf('/');
  const name = hasTag ? beforeDigest.slice(0, colon) : beforeDigest;
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag))
    throw wrong(text, `${JSON.stringify(tag)} is no tag: letters, digits, "_", "." and "-", at most 128`);
  const { registry, repository } = splitName(name);
  // The grammar takes ports and addresses that there cannot be.
  if (!HOST.test(registry) || !URL.canParse(`https://${registry}`))
    throw wrong(text, `${JSON.stringify(registry)} is no registry`);
  if (!PATH.test(repository)) {
    const why = /[A-Z]/.test(repository) ? 'must be lower case' : 'is no repository name';
    throw wrong(text, `${JSON.stringify(repository)} ${why}`);
  }
  if (registry.length + 1 + repository.length > MAX_NAME) throw wrong(text, `it is longer than ${MAX_NAME} characters`);
  if (digest !== undefined) return { registry, repository, ...(tag !== undefined && { tag }), digest };
  return { registry, repository, tag: tag ?? 'latest' };
}

/** The whole name: `docker.io/library/debian:12`. */
export function fullName({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** As people write it: `debian:12`. */
export function familiarName(reference: Reference): string {
  const full = fullName(reference);
  return full.replace(/^docker\.io\/(?:library\/(?=[^/]*$))?/, '');
}

/** The first part is a host where it has a dot or a colon, or is localhost. */
function splitName(name: string): Pick<Reference, 'registry' | 'repository'> {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  if (slash > 0 && (/[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first))) {
    const repository = name.slice(slash + 1);
    return first === 'docker.io' || first === 'index.docker.io'
      ? { registry: 'docker.io', repository: official(repository) }
      : { registry: first, repository };
  }
  return { registry: 'docker.io', repository: official(name) };
}

function official(repository: string): string {
  return repository.includes('/') ? repository : `library/${repository}`;
}

function wrong(text: string, why: string): TareError {
  return new TareError('usage', `${JSON.stringify(text)} is no name of an image: ${why}`);
}
