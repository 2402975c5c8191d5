/** How long and how much: every bound of what a registry may cost us. Tests give smaller ones. */

export interface Limits {
  /** Until a connection stands, TLS included. Milliseconds, like all times here. */
  readonly connectMs: number;
  /** Without a single byte. */
  readonly stallMs: number;
  /** What a transfer must get through in `stallMs`, and in an attempt that counts as progress, in bytes: a byte now and then is a stall too. */
  readonly stallBytes: number;
  /** Until the header of an answer is there, and then until a small document (a manifest, a token, an error) is, each as a whole. */
  readonly documentMs: number;
  /** How often something is tried before it is given up; a transfer that gets further begins to count again. */
  readonly attempts: number;
  /** The pause before the second attempt; each further one is twice as long, give or take a half. */
  readonly pauseMs: number;
  /** The longest pause that a server may ask for by Retry-After. */
  readonly longestPauseMs: number;
  /** A blob of more bytes is uploaded in pieces of so many, so that it can be gone on with. */
  readonly chunkBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  connectMs: 20_000,
  stallMs: 30_000,
  stallBytes: 4096,
  documentMs: 60_000,
  attempts: 5,
  pauseMs: 500,
  longestPauseMs: 120_000,
  chunkBytes: 64 << 20,
};

/** Layers that are under way at once. */
export const PARALLEL = 3;

/** A token, an error, a list of tags, in bytes. Manifests have a bound of their own. */
export const MAX_ANSWER = 1 << 20;
