/** Names as people see them: they are the archive's bytes, so whatever a terminal could take for a command is escaped. */
import { TareError } from '../../../kernel/error.js';

const MAX_SHOWN = 160;

/** In quotation marks; what is not printable, or no UTF-8, as `\x1b`. Long ones are cut. */
export function showName(name: Uint8Array | string): string {
  const bytes = typeof name === 'string' ? Buffer.from(name, 'latin1') : Buffer.from(name);
  const cut = bytes.length > MAX_SHOWN;
  const text = (cut ? bytes.subarray(0, MAX_SHOWN) : bytes).toString('utf8');
  // What decodes to itself is UTF-8; else each byte is taken for itself.
  const faithful = Buffer.from(text, 'utf8').equals(cut ? bytes.subarray(0, MAX_SHOWN) : bytes);
  const shown = (faithful ? text : bytes.subarray(0, MAX_SHOWN).toString('latin1')).replace(
    faithful ? /[\p{C}\p{Zl}\p{Zp}"\\]/gu : /[^\x20-\x7e]|["\\]/g,
    (c) => (c === '"' || c === '\\' ? `\\${c}` : escaped(c, faithful)),
  );
  return `"${shown}${cut ? '…' : ''}"`;
}

function escaped(c: string, unicode: boolean): string {
  const code = c.codePointAt(0) as number;
  if (code < 0x80 || !unicode) return `\\x${code.toString(16).padStart(2, '0')}`;
  return `\\u{${code.toString(16)}}`;
}

/** The archive is not one, or says what cannot be: with the place in the uncompressed stream. */
export function malformed(at: number, what: string): TareError {
  return new TareError('protocol', `the layer is no tar archive that can be read: ${what} (at byte ${at})`);
}
