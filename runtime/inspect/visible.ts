/**
 * Text that others chose (names of programs, mount points, labels), made safe to show: on a terminal it must not move the
 * cursor, nowhere may it pretend to be another line or turn the direction of reading.
 */

/** Control characters, and those that turn the direction of text, as escapes. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
