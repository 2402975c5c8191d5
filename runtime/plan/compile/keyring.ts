/**
 * The session keyring: keys have no namespace, so what the caller's session holds is kept from the container. It is joined by its name, and
 * whoever has made one of that name before is joined: so nobody else may know the name. session-keyring(7), keyctl_join_session_keyring(3).
 */
import type { Compilation } from './compilation.js';

/** A keyring of a name of its own: what `exec` starts joins it as well. Not with `noNewKeyring`. */
export function joinKeyring({ builder, id, keyring, noNewKeyring }: Compilation): void {
  if (noNewKeyring) return;
  builder.inside
    .for('linux')
    .keyctl_join(
      { name: keyring ?? `_ses.${id}` },
      { why: 'a session keyring of its own: keys have no namespace', tolerate: ['ENOSYS'] },
    );
}
