/**
 * Network devices of the host that move into the container: *outside* moves each, renamed in the same request so that no name is
 * in the way, into the network namespace of *inside*; a move takes the addresses away, so *inside* gives them back and raises
 * the device. When that namespace goes, the kernel returns what is hardware and ends what is not. config-linux.md, "Network Devices".
 */
import { addAddress, type LinkAddress, moveLink, setLinkUp } from '../../kernel/netlink.js';
import type { Slot } from '../plan.js';
import { NETLINK_ROUTE, O_CLOEXEC, O_RDONLY } from './abi.js';
import { type Compilation, creates } from './compilation.js';
import { named } from './namespaces.js';

/** What the compiler is told about a device that moves. */
export interface MovedDevice {
  /** On the host. */
  readonly name: string;
  /** Where it is, and a number by which it can be named in the container whatever is there. */
  readonly index: number;
  readonly newIndex: number;
  /** In the container; `%d` in it stands for the first free number. */
  readonly newName: string;
  /** Those to keep. */
  readonly addresses: readonly LinkAddress[];
}

/** The number that the namespace's descriptor gets for as long as requests name it. */
const NETNS_FD = 901;

/** Outside: moves them, while *inside* waits. */
export function moveDevices({ netDevices = [], ...compilation }: Compilation, pid: Slot<'pid'>): void {
  if (netDevices.length === 0) return;
  const { builder } = compilation;
  const outside = builder.outside.for('linux.netDevices');
  const joined = named(compilation).find(({ type }) => type === 'network');
  const namespace = creates(compilation, 'network')
    ? outside.open_proc(
        { pid, path: 'ns/net', flags: O_RDONLY | O_CLOEXEC },
        { as: 'network of the container', why: 'where the devices go' },
      )
    : outside.openat2(
        { dir: 'cwd', path: joined?.path ?? '', flags: O_RDONLY | O_CLOEXEC, mode: 0, resolve: 0 },
        { as: 'network of the container', why: 'where the devices go' },
      );
  outside.dup2({ fd: namespace, number: NETNS_FD }, 'a number by which the requests name it');
  outside.close({ fd: namespace }, 'it has its number');
  for (const { name, index, newName, newIndex } of netDevices) {
    builder.outside
      .for(`linux.netDevices[${JSON.stringify(name)}]`)
      .netlink(
        { protocol: NETLINK_ROUTE, messages: moveLink(index, { netns: NETNS_FD, name: newName, newIndex }) },
        `${name} goes there, as ${newName}`,
      );
  }
  outside.close_range({ first: NETNS_FD, last: NETNS_FD, flags: 0 }, 'whoever supervises holds no namespace');
  builder.sync('outside', 'inside', 'the network devices are there');
}

/** Inside, in its network namespace: the addresses that they had, and up. */
export function raiseDevices({ builder, netDevices = [] }: Compilation): void {
  for (const { name, newIndex, addresses } of netDevices) {
    const inside = builder.inside.for(`linux.netDevices[${JSON.stringify(name)}]`);
    for (const address of addresses) {
      inside.netlink(
        { protocol: NETLINK_ROUTE, messages: addAddress(newIndex, address) },
        'an address that it had on the host: moving took it away',
      );
    }
    inside.netlink({ protocol: NETLINK_ROUTE, messages: setLinkUp(newIndex) }, 'up, as it must be');
  }
}
