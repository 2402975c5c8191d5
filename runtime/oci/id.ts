/**
 * The grammar of a container's id. An id becomes the name of a folder and of a cgroup, so what could leave the folder
 * (a slash, `..`), break a line of output (newline, escape) or exceed a file name is refused here, before anything is made.
 */
import { TareError } from '../kernel/error.js';

/** A string that `containerId` has accepted. */
export type ContainerId = string & { readonly __containerId: unique symbol };

/** A file name has at most 255 bytes (NAME_MAX); the rest is for names made from the id. */
const MAX_LENGTH = 240;
const GRAMMAR = /^[A-Za-z0-9][A-Za-z0-9_.+-]*$/;

/** @throws TareError `usage` when `text` is not an id */
export function containerId(text: string): ContainerId {
  if (text === '') throw new TareError('usage', 'a container id must not be empty');
  if (text.length > MAX_LENGTH) {
    throw new TareError('usage', `a container id has at most ${MAX_LENGTH} characters, not ${text.length}`);
  }
  // Without the m flag `$` matches only at the very end, so a trailing newline is refused too.
  if (!GRAMMAR.test(text)) {
    throw new TareError(
      'usage',
      `${JSON.stringify(text)} is not a container id: it starts with a letter or digit, then letters, digits, and _ . + -`,
    );
  }
  return text as ContainerId;
}
