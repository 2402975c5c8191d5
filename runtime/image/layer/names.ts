/**
 * The name of an entry, taken apart: components that go down from the layer's root. Names are kept as latin1 strings here (a character a
 * byte), which are keys of maps and cost no more than the bytes. Whiteouts: image-spec layer.md, "Whiteouts".
 */
import { TareError } from '../../kernel/error.js';
import type { Name } from '../../kernel/native-files.js';
import type { Budget } from './budget.js';
import { showName } from './tar/bytes.js';

export interface SplitName {
  /** Of the folder: components joined by `/`, no leading one; '' is the root. */
  readonly parent: string;
  /** The last component; '' for the root itself. */
  readonly base: string;
}

export const WHITEOUT = '.wh.';
export const OPAQUE = '.wh..wh..opq';
/** AUFS kept its own files so (`.wh..wh.plnk`, `.wh..wh.aufs`): they mean nothing to others. */
const AUFS = '.wh..wh.';

/**
 * A leading `/` is dropped, as all readers do; `..` is refused wherever it stands: no layer needs it.
 * @returns undefined for what AUFS left behind
 * @throws TareError `protocol`
 */
export function splitEntryName(name: Buffer, budget: Budget): SplitName | undefined {
  const parts = components(name, budget);
  if (parts.some((part) => part.startsWith(AUFS) && part !== OPAQUE)) return undefined;
  const base = parts.pop() ?? '';
  const hidden = parts.find((part) => part.startsWith(WHITEOUT));
  if (hidden !== undefined) throw refused(name, 'lies below a whiteout');
  if (base.startsWith(WHITEOUT) && ['', '.', '..'].includes(base.slice(WHITEOUT.length)))
    throw refused(name, 'is a whiteout of nothing that has a name');
  return { parent: parts.join('/'), base };
}

/** Where a hard link leads: a name as an entry has it. @throws TareError `protocol` */
export function splitLinkName(target: Buffer, entry: Buffer, budget: Budget): SplitName {
  if (target.length === 0) throw refused(entry, 'is a hard link to nothing');
  const parts = components(target, budget);
  const base = parts.pop();
  if (base === undefined) throw refused(entry, 'is a hard link to the root');
  return { parent: parts.join('/'), base };
}

function components(name: Buffer, budget: Budget): string[] {
  if (name.length > budget.pathBytes) throw refused(name, `has a name longer than ${budget.pathBytes} bytes`);
  const parts = name
    .toString('latin1')
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(name, 'has ".." in its name');
  if (parts.length > budget.depth) throw refused(name, `lies deeper than ${budget.depth} folders`);
  if (parts.some((part) => part.length > budget.nameBytes))
    throw refused(name, `has a part of its name longer than ${budget.nameBytes} bytes`);
  return parts;
}

/** For the kernel: characters beyond ASCII are the bytes that they stand for. */
export function kernelName(latin1: string): Name {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant
  return /^[\x00-\x7f]*$/.test(latin1) ? latin1 : Buffer.from(latin1, 'latin1');
}

export function joinName(parent: string, base: string): string {
  return parent === '' ? base : `${parent}/${base}`;
}

/** An entry that is not done: TareError `protocol`. */
export function refused(name: Buffer | string, why: string): TareError {
  return new TareError('protocol', `the layer's entry ${showName(name)} ${why}`);
}
