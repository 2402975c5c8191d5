/**
 * The namespaces that config.json names by a path: looked at before anything is made, so that a path that leads to none, or to
 * one of another kind, is refused, and so that the compiler knows which must be joined before and which after the user namespace.
 * ioctl_ns(2), user_namespaces(7).
 */
import { fstatSync, statSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { O_CLOEXEC, O_NONBLOCK } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import type { Config, NamespaceType } from '../oci/index.js';
import { type JoinedNamespaces, NAMESPACE_FLAGS } from '../plan/index.js';
import { namespaceLink } from './namespace-link.js';

/** @throws TareError `not-found`, `permission` or `config` for a path that does not lead to a namespace of its kind */
export function examineNamespaces({ linux }: Config): JoinedNamespaces {
  const own = new Set<NamespaceType>();
  const ofJoinedUser = new Set<NamespaceType>();
  const opened: Opened[] = [];
  try {
    linux?.namespaces?.forEach(({ type, path }, i) => {
      if (path) opened.push({ type, path, fd: openNamespace(type, path, `linux.namespaces[${i}].path`) });
    });
    for (const { type, fd } of opened) if (identity(fd) === ownIdentity(type)) own.add(type);
    refuseMachine(opened, own);
    const user = opened.find(({ type }) => type === 'user' && !own.has(type));
    if (user) {
      const wanted = identity(user.fd);
      for (const { type, fd } of opened) if (type !== 'user' && belongsTo(fd, wanted)) ofJoinedUser.add(type);
    }
    return { own, ofJoinedUser };
  } finally {
    for (const { fd } of opened) native.close(fd);
  }
}

interface Opened {
  readonly type: NamespaceType;
  readonly path: string;
  readonly fd: number;
}

function openNamespace(type: NamespaceType, path: string, field: string): number {
  let fd: number;
  try {
    // A fifo would be waited for.
    fd = native.open(path, O_CLOEXEC | O_NONBLOCK);
  } catch (cause) {
    const errno = cause instanceof TareError ? cause.syscall?.errno : undefined;
    const gone = errno === 'ENOENT' || errno === 'ENOTDIR';
    throw new TareError(
      gone ? 'not-found' : 'permission',
      `config.json: ${field}: ${path} ${gone ? 'does not exist' : `cannot be opened (${errno})`}`,
      { cause, path: field },
    );
  }
  if (kindOf(fd) === NAMESPACE_FLAGS[type]) return fd;
  native.close(fd);
  throw new TareError(
    'config',
    `config.json: ${field} must lead to a namespace of type ${type}, which ${path} is not`,
    {
      path: field,
    },
  );
}

/** What NS_GET_NSTYPE answers: a CLONE_NEW* flag. */
function kindOf(fd: number): number | undefined {
  try {
    return native.nsGetType(fd);
  } catch (error) {
    // ENOTTY: no namespace at all.
    if (error instanceof TareError && error.syscall) return undefined;
    throw error;
  }
}

/** A namespace is known by its inode, as long as it exists. */
function identity(fd: number): string {
  const { dev, ino } = fstatSync(fd);
  return `${dev}:${ino}`;
}

function ownIdentity(type: NamespaceType): string | undefined {
  const found = statSync(`/proc/self/${namespaceLink(type)}`, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

/** The root of a mount namespace that is joined is replaced for all who are in it. */
function refuseMachine(opened: readonly Opened[], own: ReadonlySet<NamespaceType>): void {
  const mount = opened.find(({ type }) => type === 'mount' && !own.has(type));
  if (!mount) return;
  let first: string | undefined;
  try {
    const { dev, ino } = statSync('/proc/1/ns/mnt');
    first = `${dev}:${ino}`;
  } catch (error) {
    // Who may not look there may not join it either.
    if (!['EACCES', 'EPERM', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  if (identity(mount.fd) !== first) return;
  throw new TareError(
    'unsupported',
    `config.json: linux.namespaces: ${mount.path} is the mount namespace of process 1, which would lose its root to the container`,
    { path: 'linux.namespaces' },
  );
}

/** Is the owner this user namespace, or one below it? */
function belongsTo(fd: number, user: string): boolean {
  for (let owner = ask(() => native.nsGetUserns(fd)); owner !== undefined; ) {
    const at: number = owner;
    try {
      if (identity(at) === user) return true;
      owner = ask(() => native.nsGetParent(at));
    } finally {
      native.close(at);
    }
  }
  return false;
}

/** undefined for EPERM: it is above, or beside, the caller's own user namespace. */
function ask(question: () => number): number | undefined {
  try {
    return question();
  } catch (error) {
    if (error instanceof TareError && error.syscall?.errno === 'EPERM') return undefined;
    throw error;
  }
}
