/**
 * Names within an archive. They are never paths of this machine: an archive is a map from names to contents, and what a document or a link in it
 * points to is looked up there. So a manifest.json that points to ../../etc/shadow points to nothing.
 */
import { TareError } from '../../kernel/error.js';
import { type Digest, isDigest } from '../../oci/image/index.js';
import { showName } from '../layer/index.js';

/** PATH_MAX: what no file system could hold is not kept in memory either. */
const MAX_NAME = 4096;

/** `./a//b/` is `a/b`; the folder that the archive begins at is the empty name. @throws TareError `protocol` for what leads out */
export function nameInArchive(bytes: Uint8Array): string {
  if (bytes.length > MAX_NAME)
    throw new TareError('protocol', `the archive is refused: a name in it is longer than ${MAX_NAME} bytes`);
  const name = Buffer.from(bytes).toString('utf8');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (name.startsWith('/') || parts.includes('..') || name.includes('\0'))
    throw new TareError('protocol', `the archive is refused: its entry ${showName(bytes)} leads out of it`);
  return parts.join('/');
}

/** What a link means: the target of a symbolic one is relative to the folder that the link is in. undefined when that is outside. */
export function linkTarget(link: string, target: Uint8Array, isSymbolic: boolean): string | undefined {
  const text = Buffer.from(target).toString('utf8');
  if (text.startsWith('/') || target.length > MAX_NAME) return undefined;
  const parts = isSymbolic ? link.split('/').slice(0, -1) : [];
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Of `blobs/sha256/HEX`. */
export function blobDigest(name: string): Digest | undefined {
  const [blobs, algorithm, hex, ...more] = name.split('/');
  const digest = `${algorithm}:${hex}`;
  return blobs === 'blobs' && more.length === 0 && isDigest(digest) ? digest : undefined;
}
