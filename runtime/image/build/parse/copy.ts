/** COPY and ADD: flags, sources, destination; as words, as JSON, and with files that are here-documents. */
import type { Context } from './context.js';
import type { Flags } from './flags.js';
import { parseOpening } from './heredoc.js';
import type { AddInstruction, CopyInstruction, CopySource, Heredoc, Word } from './types.js';
import { splitAtSpaces } from './words.js';

const SHARED = { chown: 'one', chmod: 'one', link: 'switch', exclude: 'many' } as const;
const FLAGS = {
  COPY: { ...SHARED, from: 'one', parents: 'switch' },
  ADD: { ...SHARED, checksum: 'one', 'keep-git-dir': 'switch', unpack: 'switch' },
} as const;

export function parseCopy(context: Context): CopyInstruction | AddInstruction {
  const isCopy = context.name === 'COPY';
  const flags = context.flags(FLAGS[isCopy ? 'COPY' : 'ADD']);
  const files = parseFiles(context);
  const [chown, chmod] = [flags.value('chown'), flags.value('chmod')];
  const shared = {
    ...files,
    ...(chown && { chown }),
    ...(chmod && { chmod }),
    link: flags.isOn('link'),
    exclude: flags.values('exclude'),
  };
  return isCopy ? copy(context, flags, shared) : add(context, flags, shared);
}

type Shared = Pick<CopyInstruction, 'sources' | 'destination' | 'chown' | 'chmod' | 'link' | 'exclude'>;

function copy(context: Context, flags: Flags, shared: Shared): CopyInstruction {
  const from = flags.value('from');
  if (from?.text.includes('$'))
    throw context.source.error(from.at, '--from has no variables: give the image a name with FROM … AS, and use that');
  return { kind: 'copy', ...shared, ...(from && { from }), parents: flags.isOn('parents'), ...context.placed() };
}

function add(context: Context, flags: Flags, shared: Shared): AddInstruction {
  const checksum = flags.value('checksum');
  return {
    kind: 'add',
    ...shared,
    ...(checksum && { checksum }),
    keepGitDir: flags.isOn('keep-git-dir'),
    ...(flags.has('unpack') && { unpack: flags.isOn('unpack') }),
    ...context.placed(),
  };
}

function parseFiles(context: Context): { sources: CopySource[]; destination: Word } {
  const rest = context.needed('a source and a destination');
  const json = context.json();
  const words = json ?? splitAtSpaces(rest);
  const destination = words.at(-1);
  if (words.length < 2 || destination === undefined) {
    const has = destination ? ` (only ${JSON.stringify(destination.text)} is there)` : '';
    throw context.source.error((destination ?? context).at, `${context.name} needs a source and a destination${has}`);
  }
  if (json) return { sources: json.slice(0, -1).map((path) => ({ kind: 'path', path })), destination };
  if (parseOpening(destination.text))
    throw context.source.error(
      destination.at,
      `the destination of ${context.name} cannot be a here-document: it stands before it`,
    );
  const heredocs = context.heredocs();
  return { sources: words.slice(0, -1).map((word) => sourceOf(word, heredocs)), destination };
}

function sourceOf(word: Word, heredocs: readonly Heredoc[]): CopySource {
  const heredoc = heredocs.find(({ at }) => at.line === word.at.line && at.column === word.at.column);
  return heredoc && parseOpening(word.text) ? { kind: 'heredoc', heredoc } : { kind: 'path', path: word };
}
