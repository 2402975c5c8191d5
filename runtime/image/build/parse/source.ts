/**
 * The text of a Dockerfile, and errors that show the place in it: `FILE:LINE:COLUMN: what is wrong`, the line, and a caret below. What is
 * shown is made harmless for a terminal: the file may be somebody else's.
 */
import { type ErrorCode, TareError } from '../../../kernel/error.js';
import { withoutUserInfo, withoutUserInfoAt } from '../user-info.js';
import type { Position } from './types.js';

export class Source {
  readonly file: string;
  /** As they are, without the line feed. */
  readonly lines: readonly string[];

  constructor(file: string, text: string) {
    this.file = file;
    this.lines = text.replace(/^\uFEFF/, '').split('\n');
  }

  /** An error at a place. `path` is `FILE:LINE:COLUMN`. */
  error(at: Position, message: string, more: { readonly code?: ErrorCode; readonly cause?: unknown } = {}): TareError {
    const path = this.place(at);
    const text = `${path}: ${withoutUserInfo(message)}\n${this.excerpt(at)}`;
    return new TareError(more.code ?? 'config', text, { path, ...(more.cause !== undefined && { cause: more.cause }) });
  }

  /** `FILE:LINE:COLUMN`. */
  place({ line, column }: Position): string {
    return `${visible(this.file)}:${line}:${column}`;
  }

  /** The line, with a caret below the column. Of a long line, what is around it. */
  excerpt({ line, column }: Position): string {
    const { text, place } = withoutUserInfoAt(withoutReturn(this.lines[line - 1] ?? ''), column - 1);
    const from = place >= WIDTH - 20 ? place - 19 : 0;
    const before = visible(text.slice(from, place));
    const after = visible(text.slice(place, from + WIDTH));
    const [head, tail] = [from > 0 ? '…' : '', from + WIDTH < text.length ? '…' : ''];
    const number = `${line} | `;
    const indent = ' '.repeat([...(head + before)].length);
    return `${number}${head}${before}${after}${tail}\n${' '.repeat(number.length - 2)}| ${indent}^`;
  }
}

/** A line of a file with the line ends of Windows. */
export function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

const WIDTH = 100;

/** Control characters (and those that turn the direction of writing) as one sign each, so that columns stay. */
function visible(text: string): string {
  return text.replace(/\t/g, ' ').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}
