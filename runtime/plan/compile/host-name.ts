/** The names of the machine that the container believes to be: uts_namespaces(7), sethostname(2), setdomainname(2). */
import type { Compilation } from './compilation.js';

export function setNames({ builder, config }: Compilation): void {
  if (config.hostname) {
    builder.inside
      .for('hostname')
      .sethostname({ name: config.hostname }, 'its own host name, which only its uts namespace has');
  }
  if (config.domainname) {
    builder.inside.for('domainname').setdomainname({ name: config.domainname }, 'its own NIS domain name');
  }
}
