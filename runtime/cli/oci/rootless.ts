/**
 * `--rootless`: whether a cgroup that may not be made is done without. As runc has it, that is so for who is not root unless it is said
 * otherwise; the rest of what root can do and others cannot is found out, not told.
 */
import { TareError } from '../../kernel/error.js';

/** undefined for `auto`. @throws TareError `usage` */
export function parseRootless(text: string): boolean | undefined {
  if (text === '' || text.toLowerCase() === 'auto') return undefined;
  // What Go's strconv.ParseBool takes.
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new TareError('usage', `--rootless is true, false or auto, not ${JSON.stringify(text)}`);
}
