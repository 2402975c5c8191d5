/** What stands before the "@" of an address: a name and often a password, which nobody but the server is to see. RFC 3986, section 3.2.1 and 7.5 */

/** Of every address in it. To the last "@" before the path, and after any number of slashes, as browsers (and so Node's URL) read addresses. */
export function withoutUserInfo(text: string): string {
  return withoutUserInfoAt(text, 0).text;
}

/** The same of a text with a place in it: where that is now. */
export function withoutUserInfoAt(text: string, place: number): { readonly text: string; readonly place: number } {
  let moved = place;
  const shown = text.replace(USER_INFO, (whole: string, scheme: string, at: number) => {
    const [begin, end] = [at + scheme.length, at + whole.length];
    if (place >= end) moved += begin + MASK.length - end;
    else if (place > begin) moved += begin - place;
    return `${scheme}${MASK}`;
  });
  return { text: shown, place: moved };
}

const MASK = '***@';
const USER_INFO = /([a-z][a-z0-9+.-]*:[/\\]{2,})[^\s/\\?#]*@/gi;
