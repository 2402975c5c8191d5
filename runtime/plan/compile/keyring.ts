/** The session keyring: keys have no namespace, so what the caller's session holds is kept from the container. session-keyring(7). */
import type { Compilation } from './compilation.js';

/** A keyring of the container's name: what `exec` starts joins it as well. Not with `noNewKeyring`. */
export function joinKeyring({ builder, id, noNewKeyring }: Compilation): void {
  if (noNewKeyring) return;
  builder.inside
    .for('linux')
    .keyctl_join(
      { name: `_ses.${id}` },
      { why: 'a session keyring of its own: keys have no namespace', tolerate: ['ENOSYS'] },
    );
}
