/**
 * Digests: the names of content. descriptor.md, "Digests": an algorithm, a colon, lower-case hexadecimal. A digest that is not of this
 * form never becomes a path or a URL.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Digest } from './types.js';

const GRAMMAR = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && GRAMMAR.test(text);
}

/** `sha256` and the hexadecimal digits. */
export function splitDigest(digest: Digest): { algorithm: 'sha256' | 'sha512'; hex: string } {
  const [algorithm, hex] = digest.split(':') as ['sha256' | 'sha512', string];
  return { algorithm, hex };
}

/** A hash to be fed, that ends as `digestOf` it. */
export function hashFor(digest?: Digest): Hash {
  return createHash(digest ? splitDigest(digest).algorithm : 'sha256');
}

export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}` as Digest;
}

/** 12 digits, for people. */
export function shortDigest(digest: Digest): string {
  return splitDigest(digest).hex.slice(0, 12);
}
