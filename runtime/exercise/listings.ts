/**
 * Listings are regions of the real source. A lesson names one in an empty fenced block,
 *
 *     ```ts file=runtime/plan/compile/rootfs.ts region=pivot-root
 *     ```
 *
 * and gets the lines between `// #region pivot-root` and `// #endregion` (in C, also inside block comments), without their common
 * indentation. The block's first line then says where they stand: `ts file=… region=… lines=40-58`. A region
 * that is missing is an error, so a lesson cannot drift from the code.
 */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { TareError } from '../kernel/error.js';

export interface Region {
  readonly code: string;
  /** Numbers of the first and last line, as an editor shows them. */
  readonly first: number;
  readonly last: number;
}

const FENCE = /^(`{3,})([a-z]+) +file=(\S+)(?: +region=([a-z0-9-]+))?[ \t]*\n\1[ \t]*$/gm;

/** Fills in every listing of a lesson. `lesson` is for errors. @throws TareError `config`. */
export async function resolveListings(markdown: string, root: string, lesson: string): Promise<string> {
  const half = /^`{3,}[a-z]+ +file=\S+ region=\S+[^\n]*\n(?!`{3,})/m.exec(markdown);
  if (half) {
    throw new TareError('config', `${lesson}: a listing must be an empty block: ${half[0].split('\n')[0]}`, {
      path: lesson,
    });
  }
  const found = await Promise.all(
    [...markdown.matchAll(FENCE)].map(async ([whole, fence, language, file, name]) => {
      const region = await readRegion(root, file as string, name, lesson);
      const info = `${language} file=${file}${name ? ` region=${name}` : ''} lines=${region.first}-${region.last}`;
      return { whole, text: `${fence}${info}\n${region.code}\n${fence}` };
    }),
  );
  const queue = [...found];
  return markdown.replace(FENCE, () => queue.shift()?.text ?? '');
}

/** The named region of a source file, or the whole file without a name. @throws TareError `config`. */
export async function readRegion(
  root: string,
  file: string,
  name: string | undefined,
  lesson: string,
): Promise<Region> {
  const path = normalize(file);
  if (isAbsolute(path) || path.startsWith('..')) {
    throw new TareError('config', `${lesson}: the listing ${file} is outside the project`, { path: file });
  }
  let text: string;
  try {
    text = await readFile(join(root, path), 'utf8');
  } catch (cause) {
    throw new TareError('config', `${lesson}: there is no ${file} to take a listing from`, { cause, path: file });
  }
  const region = name === undefined ? wholeFile(text) : findRegion(text, name);
  if (!region) throw new TareError('config', `${lesson}: ${file} has no region "${name}"`, { path: file });
  return region;
}

/** The lines of a region, other regions' markers left out; undefined when it is missing, empty or not closed. */
export function findRegion(text: string, name: string): Region | undefined {
  const lines = text.split('\n');
  const begin = lines.findIndex((line) => marker(line)?.name === name);
  if (begin === -1) return undefined;
  let depth = 0;
  for (let index = begin; index < lines.length; index++) {
    const kind = marker(lines[index] as string)?.kind;
    if (kind === 'region') depth += 1;
    if (kind === 'endregion') depth -= 1;
    if (depth === 0) return listing(lines, begin + 1, index);
  }
  return undefined;
}

function wholeFile(text: string): Region | undefined {
  const lines = text.trimEnd().split('\n');
  return listing(lines, 0, lines.length);
}

/** `to` is exclusive. */
function listing(lines: readonly string[], from: number, to: number): Region | undefined {
  const chosen = lines.slice(from, to).filter((line) => !marker(line));
  if (chosen.every((line) => line.trim() === '')) return undefined;
  const indents = chosen.filter((line) => line.trim() !== '').map((line) => /^\s*/.exec(line)?.[0].length ?? 0);
  const indent = Math.min(...indents);
  return { code: chosen.map((line) => line.slice(indent).trimEnd()).join('\n'), first: from + 1, last: to };
}

function marker(line: string): { kind: 'region' | 'endregion'; name?: string } | undefined {
  const match = /^\s*(?:\/\/|\/\*|#)\s*#(region|endregion)\b\s*([a-z0-9-]*)/.exec(line);
  if (!match) return undefined;
  return { kind: match[1] as 'region' | 'endregion', name: match[2] };
}
