/** The loopback device of a new network namespace: there, but down. netlink(7), rtnetlink(7). */
import { setLinkUp } from '../../kernel/netlink.js';
import { NETLINK_ROUTE } from './abi.js';
import { type Compilation, creates } from './compilation.js';

export function raiseLoopback(compilation: Compilation): void {
  if (!creates(compilation, 'network')) return;
  compilation.builder.inside
    .for('linux.namespaces')
    .netlink({ protocol: NETLINK_ROUTE, messages: setLinkUp(1) }, 'lo is up: programs expect 127.0.0.1 to answer');
}
