/**
 * `--chown=user[:group]`: numbers, or names that the image's own /etc/passwd and /etc/group have. A number alone is user and group, a name alone
 * brings its group along. The files are the image's: read within its root and with bounds. passwd(5), group(5)
 */
import { TareError } from '../../../kernel/error.js';
import { openInRoot } from '../../../kernel/in-root.js';
import { readRegularByPath } from '../../../kernel/read-regular.js';
import { MAX_USER_ID } from '../../../oci/index.js';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * @param root the image's, as a descriptor; undefined where it has no files
 * @throws TareError `config` for what is no owner, or a name that the image does not have
 */
export function resolveOwner(root: number | undefined, text: string): Owner {
  const [user = '', group, ...more] = text.split(':');
  if (user === '' || group === '' || more.length > 0)
    throw new TareError('config', `--chown is UID[:GID] or NAME[:GROUP], not ${JSON.stringify(text)}`);
  const uid = idOf(user);
  const entry = uid === undefined ? find(root, 'etc/passwd', user) : undefined;
  const owner = uid ?? validId(entry?.[2], 'etc/passwd');
  if (group === undefined) return { uid: owner, gid: entry ? validId(entry[3], 'etc/passwd') : owner };
  return { uid: owner, gid: idOf(group) ?? validId(find(root, 'etc/group', group)[2], 'etc/group') };
}

/** Undefined for a name. A number that is none must not become 0 (CVE-2024-40635). */
function idOf(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (/^\d{1,10}$/.test(text) && id <= MAX_USER_ID) return id;
  throw new TareError('config', `--chown: an id is a number from 0 to ${MAX_USER_ID}, not ${text}`);
}

function find(root: number | undefined, path: string, name: string): string[] {
  const lines = root === undefined ? [] : textOf(root, path).split('\n');
  const entry = lines.map((line) => line.split(':')).find(([first]) => first === name);
  if (entry) return entry;
  throw new TareError('config', `--chown: the image's /${path} has no ${JSON.stringify(name)}`);
}

function validId(text: string | undefined, path: string): number {
  const id = Number(text);
  if (text !== undefined && /^\d{1,10}$/.test(text) && id <= MAX_USER_ID) return id;
  throw new TareError('config', `--chown: the image's /${path} has an id that is none: ${JSON.stringify(text ?? '')}`);
}

const MAX_FILE = 1 << 20;

/** Empty where there is no such file. */
function textOf(root: number, path: string): string {
  using file = openInRoot(root, path);
  if (!file) return '';
  try {
    return readRegularByPath(file.fd, MAX_FILE).toString();
  } catch (error) {
    throw new TareError('config', `the image's /${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
