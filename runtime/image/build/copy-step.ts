/** COPY and ADD as steps of a stage: what they copy, its digest as a part of the key, and the copy into the files so far. */
import { posix } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { mountOverlay } from '../snapshot/index.js';
import type { OverlayFolders } from '../types.js';
import { type Circumstances, expander, type StageState, variables } from './configure.js';
import {
  digestSelected,
  identityOf,
  isPattern,
  type Selected,
  type SourceTree,
  select,
  statusOf,
  whyNothing,
} from './context/index.js';
import type { CopyItem } from './copy/index.js';
import { type ModeChange, parseMode } from './copy/mode.js';
import { isAddress, isGit } from './downloads.js';
import type { FileStep, StageFiles } from './files.js';
import { type Keyed, stepKey } from './key.js';
import { KnownFiles } from './known-files.js';
import { type AddInstruction, type CopyInstruction, expandWord, type Heredoc, type Word } from './parse/index.js';
import type { Solver } from './solve.js';
import { withoutUserInfo } from './user-info.js';

export interface CopyStepOptions {
  readonly solver: Solver;
  readonly circumstances: Circumstances;
  readonly instruction: CopyInstruction | AddInstruction;
  readonly state: StageState;
  /** The stage that it stands in. */
  readonly before: number;
}

/** As the progress and the history have it: the history goes out with the image. */
export function copyCreatedBy({ original }: CopyInstruction | AddInstruction): string {
  return withoutUserInfo(original);
}

/** @throws TareError with the place of what cannot be copied */
export async function copyStep(options: CopyStepOptions): Promise<FileStep> {
  const said = read(options);
  const key = { ...said.key, sources: await sourcesKey(options, said) };
  return { kind: options.instruction.kind, key, work: (folders) => perform(options, said, folders) };
}

/** The instruction, expanded. */
interface Said {
  readonly sources: readonly (
    | { readonly kind: 'path' | 'remote'; readonly path: string; readonly word: Word }
    | { readonly kind: 'content'; readonly name: string; readonly content: string }
  )[];
  readonly destination: string;
  readonly owner: string | undefined;
  readonly mode: ModeChange | undefined;
  readonly exclude: readonly string[];
  readonly checksum: string | undefined;
  /** What of it the result depends on. */
  readonly key: Readonly<Record<string, Keyed>>;
}

function read({ instruction, state, circumstances }: CopyStepOptions): Said {
  const expand = expander(state, circumstances);
  const { chown, chmod, exclude, destination } = instruction;
  const to = destinationIn(state, expand(destination));
  const [owner, chmodText] = [chown && expand(chown), chmod && expand(chmod)];
  const excluded = exclude.map(expand);
  const isAdd = instruction.kind === 'add';
  const checksum = isAdd && instruction.checksum ? expand(instruction.checksum) : undefined;
  const sources = instruction.sources.map((source): Said['sources'][number] => {
    if (source.kind === 'heredoc') {
      const { heredoc } = source;
      return { kind: 'content', name: heredoc.name, content: contentOf(heredoc, state, circumstances) };
    }
    const path = expand(source.path);
    if (isAdd && isGit(path))
      throw circumstances.source.error(
        source.path.at,
        'ADD from a git repository is not supported: clone it, and COPY it',
        {
          code: 'unsupported',
        },
      );
    return { kind: isAdd && isAddress(path) ? 'remote' : 'path', path, word: source.path };
  });
  const mode = chmodText === undefined ? undefined : placed(circumstances, chmod as Word, () => parseMode(chmodText));
  const key = {
    to,
    owner,
    mode: chmodText,
    exclude: excluded,
    checksum,
    parents: instruction.kind === 'copy' && instruction.parents,
    unpack: isAdd ? (instruction.unpack ?? 'local') : undefined,
  };
  return { sources, destination: to, owner, mode, exclude: excluded, checksum, key };
}

/** Absolute, with the slash at its end where it has one: a folder is meant then. */
function destinationIn({ config }: StageState, path: string): string {
  const resolved = posix.resolve('/', config.WorkingDir ?? '/', path);
  return /(?:^|\/)\.?$/.test(path) && resolved !== '/' ? `${resolved}/` : resolved;
}

function contentOf(heredoc: Heredoc, state: StageState, { source, escapeSign }: Circumstances): string {
  if (!heredoc.expand) return heredoc.content;
  const word = { text: heredoc.content, at: heredoc.at };
  return expandWord(source, word, variables(state), { escape: escapeSign, keepQuotes: true });
}

/** What is copied, by content. That of a stage is looked at once. */
async function sourcesKey(options: CopyStepOptions, said: Said): Promise<Keyed> {
  const keys: Keyed[] = [];
  for (const source of said.sources) {
    if (source.kind === 'content') keys.push({ name: source.name, content: source.content });
    else if (source.kind === 'remote')
      keys.push(
        await placedAsync(options.circumstances, source.word, () =>
          options.solver.downloads.key(source.path, said.checksum),
        ),
      );
  }
  const from = await filesFrom(options);
  const paths = said.sources.flatMap((source) => (source.kind === 'path' ? source.path : []));
  if (paths.length === 0) return keys;
  const { session } = options.solver;
  const memory = from && `build-copied:${stepKey('copied', { layers: from.chainId, paths, exclude: said.exclude })}`;
  const known = memory && session.store.cache.get(memory);
  if (typeof known === 'string') return [...keys, known];
  const files = from ? undefined : knownFiles(options, paths, said.exclude);
  const digest = await withTree(options, from, (tree) =>
    digestSelected(selectAll(options, said, tree), {
      exclude: said.exclude,
      owners: from !== undefined,
      ...(files && { known: files }),
      signal: session.signal,
    }),
  );
  files?.save();
  if (memory) session.store.cache.set(memory, digest, {});
  return [...keys, digest];
}

/** Of the context. */
function knownFiles({ solver }: CopyStepOptions, paths: readonly string[], exclude: readonly string[]): KnownFiles {
  const { session, context } = solver;
  const name = stepKey('files', { root: identityOf(statusOf(context.root)), paths, exclude });
  return new KnownFiles(session.store.cache, name, session.useCache);
}

async function perform(options: CopyStepOptions, said: Said, folders: OverlayFolders): Promise<void> {
  const { instruction, circumstances, solver } = options;
  // Loaded only when it is needed.
  const { copyInto, resolveOwner } = await import('./copy/index.js');
  using root = await mountOverlay(folders);
  const { owner: ownerText, mode, exclude, destination } = said;
  const owner =
    ownerText === undefined
      ? undefined
      : placed(circumstances, instruction.chown as Word, () => resolveOwner(root.fd, ownerText));
  const from = await filesFrom(options);
  await withTree(options, from, async (tree) => {
    const items: CopyItem[] = [];
    for (const source of said.sources) {
      if (source.kind === 'content')
        items.push({ kind: 'content', name: source.name, content: Buffer.from(source.content) });
      else if (source.kind === 'remote') items.push(await solver.downloads.item(source.path, said.checksum));
      else
        for (const selected of selectOne(options, tree, source.path, source.word))
          items.push({ kind: 'selected', selected });
    }
    await placedAsync(circumstances, { text: '', at: instruction.at }, () =>
      copyInto(root.fd, items, destination, {
        ...(owner && { owner }),
        ...(mode && { mode }),
        exclude,
        keepOwners: from !== undefined,
        parents: instruction.kind === 'copy' && instruction.parents,
        unpack: unpackOf(instruction),
        signal: solver.session.signal,
      }),
    );
  });
}

function unpackOf(instruction: CopyInstruction | AddInstruction): 'none' | 'local' | 'all' {
  if (instruction.kind === 'copy') return 'none';
  if (instruction.unpack === undefined) return 'local';
  return instruction.unpack ? 'all' : 'none';
}

/** undefined: the context. */
async function filesFrom({
  instruction,
  solver,
  before,
  circumstances,
}: CopyStepOptions): Promise<StageFiles | undefined> {
  if (instruction.kind === 'add' || instruction.from === undefined) return undefined;
  const { from } = instruction;
  return solver.explain(from, () => solver.files(from.text, before), circumstances.source);
}

async function withTree<T>(
  { instruction, solver, circumstances }: CopyStepOptions,
  from: StageFiles | undefined,
  use: (tree: SourceTree) => Promise<T>,
): Promise<T> {
  if (!from) return use(solver.context);
  const { at, text } = (instruction as CopyInstruction).from as Word;
  using root = await from.mount();
  if (!root) throw circumstances.source.error(at, `${JSON.stringify(text)} has no files`);
  return await use({ root: root.fd, name: JSON.stringify(text) });
}

function selectAll(options: CopyStepOptions, { sources }: Said, tree: SourceTree): Selected[] {
  return sources.flatMap((source) => {
    if (source.kind !== 'path') return [];
    const found = selectOne(options, tree, source.path, source.word);
    if (found.length === 0) warnOfNothing(options, tree, source.path, source.word);
    return found;
  });
}

/** A pattern may match nothing: `COPY package.json lock*.json ./`. */
function selectOne({ circumstances }: CopyStepOptions, tree: SourceTree, path: string, word: Word): Selected[] {
  return placed(circumstances, word, () => {
    const found = select(tree, path);
    if (found.length > 0 || isPattern(path)) return found;
    throw new TareError('not-found', `${JSON.stringify(path)} cannot be copied: ${whyNothing(tree, path)}`);
  });
}

/** Alone it may well be a mistake; beside others it is how one asks for what need not be there. */
function warnOfNothing(
  { circumstances: { source, onWarning }, instruction }: CopyStepOptions,
  tree: SourceTree,
  path: string,
  { at }: Word,
): void {
  if (instruction.sources.length > 1) return;
  onWarning(`${source.place(at)}: nothing in ${tree.name} matches ${JSON.stringify(path)}, so nothing is copied`);
}

/** Adds the place to what is thrown. A malformed pattern is a RangeError. */
function placed<T>({ source }: Circumstances, word: Word, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withPlace(error, source, word);
  }
}

async function placedAsync<T>({ source }: Circumstances, word: Word, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withPlace(error, source, word);
  }
}

function withPlace(error: unknown, source: Circumstances['source'], { at }: Word): unknown {
  if (error instanceof RangeError) return source.error(at, error.message, { cause: error });
  if (!(error instanceof TareError) || error.path !== undefined || error.syscall !== undefined) return error;
  return source.error(at, error.message, { code: error.code, cause: error });
}
