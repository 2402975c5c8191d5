/**
 * From a source of COPY or ADD to the files it means: a path, or a pattern in it. Links on the way, and the files that are meant themselves,
 * are followed within the tree; links found by a pattern on the way are not. What is not there is said with what may have been meant.
 */
import type { OwnedFd } from '../../../kernel/fd.js';
import type { FileStatus } from '../../../kernel/native-files.js';
import { nearest } from '../../near.js';
import { Glob, isPattern } from './glob.js';
import type { IgnoreRules } from './ignore.js';
import { resolveIn } from './resolve.js';
import {
  bytesOf,
  identityOf,
  isDirectory,
  namesIn,
  openFolder,
  openName,
  type SourceTree,
  shown,
  statusOf,
} from './tree.js';
import { walk } from './walk.js';

export interface Selected {
  readonly tree: SourceTree;
  /** In the tree, without symbolic links; empty for its root. */
  readonly path: string;
  /** As it was found, links not followed: what it is called, and with `--parents` where it lies. */
  readonly written: string;
  /** What `--parents` keeps of that: all, or what is behind the first `/./` of the source. */
  readonly kept: string;
  readonly status: FileStatus;
}

/**
 * The files that a source means, in order. None: nothing is there, or a pattern matches nothing; see `whyNothing`.
 * @throws RangeError when a pattern is malformed, with the reason
 */
export function select(tree: SourceTree, source: string): Selected[] {
  const parts = cleanPath(source);
  const first = parts.findIndex(isPattern);
  const plain = first < 0 ? parts : parts.slice(0, first);
  const pivot = source.indexOf('/./');
  const dropped = pivot < 0 ? 0 : cleanPath(source.slice(0, pivot)).length;
  if (first < 0) return take(tree, plain.join('/'), dropped);
  using start = resolveIn(tree.root, bytesOf(plain.join('/')));
  if (!start || !isDirectory(statusOf(start.fd))) return [];
  const rest = parts.slice(first).filter((part, index, all) => part !== '**' || all[index - 1] !== '**');
  const globs = rest.map((part) => (part === '**' ? undefined : new Glob(part)));
  const found: string[] = [];
  using folder = reopen(tree.root, start.path);
  search(tree, folder.fd, start.path.join('/'), globs, (name) => found.push(name));
  const written = plain.join('/');
  const real = start.path.join('/');
  return found
    .sort((a, b) => (a < b ? -1 : 1))
    .flatMap((path) => take(tree, shown(path), dropped, rewritten(path, real, bytesOf(written))));
}

/** Without `.`, `..` and slashes too many; `..` stops at the root. */
export function cleanPath(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

/** Why there is nothing, as the end of a sentence. */
export function whyNothing(tree: SourceTree, source: string): string {
  const parts = cleanPath(source);
  if (parts.some(isPattern)) return `nothing in ${tree.name} matches it`;
  const path = parts.join('/');
  using found = resolveIn(tree.root, bytesOf(path));
  const reason = found && tree.ignore?.reason(shown(found.path.join('/')));
  if (reason !== undefined) return `it is left out of ${tree.name} by ${reason}`;
  if (found) return `${tree.name} has nothing in it that is not ignored`;
  using link = resolveIn(tree.root, bytesOf(path), { follow: false });
  if (link) return `in ${tree.name} it is a symbolic link that leads nowhere there`;
  return `it is not in ${tree.name}${neighbour(tree, parts)}`;
}

/** A name like it, in the deepest folder that is there. */
function neighbour(tree: SourceTree, parts: readonly string[]): string {
  for (let depth = parts.length - 1; depth >= 0; depth -= 1) {
    using folder = resolveIn(tree.root, bytesOf(parts.slice(0, depth).join('/')));
    if (!folder || !isDirectory(statusOf(folder.fd))) continue;
    using open = reopen(tree.root, folder.path);
    const real = folder.path.map(shown);
    const names = namesIn(open.fd)
      .map(shown)
      .filter((name) => !tree.ignore?.checkWhole([...real, name].join('/')).ignored);
    const near = nearest(parts[depth] ?? '', names);
    return near === undefined ? '' : `; did you mean ${JSON.stringify([...parts.slice(0, depth), near].join('/'))}?`;
  }
  return '';
}

function rewritten(path: string, real: string, written: string): string {
  const below = real === '' ? path : path.slice(real.length + 1);
  return written === '' ? below : `${written}/${below}`;
}

/** One path, its links followed. */
function take(tree: SourceTree, path: string, dropped: number, written = bytesOf(path)): Selected[] {
  using found = resolveIn(tree.root, bytesOf(path));
  if (!found) return [];
  const real = found.path.join('/');
  const status = statusOf(found.fd);
  if (real !== '' && tree.ignore && isHidden(tree.ignore, tree, real, status)) return [];
  return [{ tree, path: real, written, kept: written.split('/').slice(dropped).join('/'), status }];
}

/** An ignored folder is seen when something in it is. */
function isHidden(rules: IgnoreRules, tree: SourceTree, path: string, status: FileStatus): boolean {
  if (!rules.checkWhole(shown(path)).ignored) return false;
  if (!isDirectory(status) || !rules.hasExceptions) return true;
  using folder = reopen(tree.root, path.split('/'));
  for (const _ of walk(folder.fd, [{ rules, base: path }], tree.hidden)) return false;
  return true;
}

/** For reading. */
export function reopen(root: number, path: readonly string[]): OwnedFd {
  return openFolder(root, path.length === 0 ? '.' : path.join('/'));
}

/** `undefined` among the patterns: any number of folders. */
function search(
  tree: SourceTree,
  folder: number,
  path: string,
  globs: readonly (Glob | undefined)[],
  found: (path: string) => void,
): void {
  const [glob, ...rest] = globs;
  const deep = glob === undefined;
  for (const name of namesIn(folder)) {
    const whole = path === '' ? name : `${path}/${name}`;
    const ignored = tree.ignore?.checkWhole(shown(whole)).ignored ?? false;
    if (ignored && !tree.ignore?.hasExceptions) continue;
    const here = deep ? rest[0]?.matches(shown(name)) : glob.matches(shown(name));
    const further = deep ? rest.slice(1) : rest;
    using file = openName(folder, name);
    if (!file) continue;
    const status = statusOf(file.fd);
    if (tree.hidden?.has(identityOf(status))) continue;
    const isFolder = isDirectory(status);
    if ((here || (deep && rest.length === 0)) && further.length === 0) found(whole);
    if (!isFolder || (!deep && (!here || rest.length === 0))) continue;
    using inner = openFolder(folder, name);
    if (deep) search(tree, inner.fd, whole, globs, found);
    if (deep && here && further.length > 0) search(tree, inner.fd, whole, further, found);
    if (!deep) search(tree, inner.fd, whole, rest, found);
  }
}
