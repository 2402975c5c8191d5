/**
 * Users by the names that the container knows them by: its own /etc/passwd and /etc/group, which are read within its root and with
 * bounds. Numbers are taken as they are, and never become 0 by accident (CVE-2024-40635). passwd(5), group(5).
 */
import { TareError } from '../kernel/error.js';
import { MAX_USER_ID, type User } from '../oci/index.js';
import { textInRoot } from './home.js';

/**
 * `uid[:gid]`, `name[:group]`, or a mix of both. A name brings its group, and the groups that it is in, unless a group is named.
 * @param rootfs the container's root, as this process sees it
 * @throws TareError `usage` for what is no user, `not-found` for one that the container does not have
 */
export function parseUserIn(rootfs: string, text: string): Pick<User, 'uid'> & Partial<User> {
  const [user = '', group, ...rest] = text.split(':');
  if (user === '' || group === '' || rest.length > 0)
    throw new TareError('usage', `--user ${text}: must be UID[:GID] or NAME[:GROUP]`);
  const gid = group === undefined ? undefined : (idOf(group, text) ?? groupId(rootfs, group));
  const uid = idOf(user, text);
  if (uid !== undefined) return { uid, ...(gid !== undefined && { gid }) };
  const entry = lines(rootfs, 'etc/passwd').find(([name]) => name === user);
  if (!entry) throw new TareError('not-found', `the container's /etc/passwd has no user ${JSON.stringify(user)}`);
  const own = { uid: validId(entry[2], 'etc/passwd'), gid: gid ?? validId(entry[3], 'etc/passwd') };
  return gid === undefined ? { ...own, additionalGids: groupsOf(rootfs, user, own.gid) } : own;
}

/**
 * The user that a container begins as, complete: groups by name and number are those that the root's /etc/group has the user in, and the own one
 * among them, as else who is in a group that is denied something could shed it (CVE-2022-36109). Where a group is named it is the only one.
 * @throws as `parseUserIn`
 */
export function userOf(rootfs: string, text: string): User {
  const { uid, gid, additionalGids } = parseUserIn(rootfs, text === '' ? '0' : text);
  if (text.includes(':')) return { uid, gid: gid ?? 0, additionalGids: [gid ?? 0] };
  const named = additionalGids !== undefined;
  const [name, , , own] = named ? [] : (lines(rootfs, 'etc/passwd').find((entry) => entry[2] === String(uid)) ?? []);
  const group = gid ?? (own === undefined ? 0 : validId(own, 'etc/passwd'));
  const groups = additionalGids ?? (name === undefined ? [] : groupsOf(rootfs, name, group));
  return { uid, gid: group, additionalGids: [group, ...groups] };
}

function idOf(text: string, whole: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (/^\d{1,10}$/.test(text) && id <= MAX_USER_ID) return id;
  throw new TareError('usage', `--user ${whole}: an id is a number from 0 to ${MAX_USER_ID}`);
}

function groupId(rootfs: string, group: string): number {
  const entry = lines(rootfs, 'etc/group').find(([name]) => name === group);
  if (!entry) throw new TareError('not-found', `the container's /etc/group has no group ${JSON.stringify(group)}`);
  return validId(entry[2], 'etc/group');
}

function groupsOf(rootfs: string, user: string, own: number): number[] {
  const groups = lines(rootfs, 'etc/group').filter((entry) => entry[3]?.split(',').includes(user));
  return [...new Set(groups.map((entry) => validId(entry[2], 'etc/group')))].filter((gid) => gid !== own);
}

function lines(rootfs: string, path: string): string[][] {
  return textInRoot(rootfs, path)
    .split('\n')
    .map((line) => line.split(':'));
}

/** The file is the image's: what it says may be anything. */
function validId(text: string | undefined, path: string): number {
  const id = Number(text);
  if (text !== undefined && /^\d{1,10}$/.test(text) && id <= MAX_USER_ID) return id;
  throw new TareError('config', `the container's /${path} has an id that is none: ${JSON.stringify(text ?? '')}`);
}
