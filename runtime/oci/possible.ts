/**
 * Between a valid config.json and a container: what Tare makes no container of, and what would change the host
 * instead of the container. Checked before anything is made.
 */
import type { Config } from './config.js';
import type { NamespaceType } from './linux.js';
import { changesOfHost } from './rules/host.js';
import { unsupported } from './unsupported.js';
import { throwFirst } from './validate.js';

/** @throws TareError `unsupported` */
export function refuseUnsupported(config: Config): void {
  throwFirst('unsupported', unsupported(config), 'config.json');
}

/**
 * @param own kinds of namespaces that a path names, and that are the runtime's own
 * @throws TareError `config`
 */
export function refuseChangesOfHost(config: Config, own: ReadonlySet<NamespaceType>): void {
  throwFirst('config', changesOfHost(config, own), 'config.json');
}
