/**
 * Requests to the kernel's network configuration, as bytes: a plan's `netlink` step sends them in the container's network
 * namespace, where Node never goes. Every request asks for an acknowledgement. netlink(7), rtnetlink(7), <linux/rtnetlink.h>.
 *
 * A request is a header (length, type, flags, sequence, port), the fixed part of its type, and attributes (length, type, value),
 * each padded to 4 bytes. Numbers are in the byte order of the machine: little endian.
 */

/** A network device: by its index (1 is always `lo`), or by name. */
export type Link = number | string;

/** `ip link set LINK up`. */
export function setLinkUp(link: Link): Uint8Array {
  return request(RTM_NEWLINK, [linkHeader(link, { flags: IFF_UP, change: IFF_UP }), ...linkName(link)]);
}

/** The protocol of these requests, for socket(2). */
export const NETLINK_ROUTE = 0;

const RTM_NEWLINK = 16;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const IFF_UP = 0x1;
const IFLA_IFNAME = 3;
/** With the terminating NUL: <linux/if.h>. */
const IFNAMSIZ = 16;

/** struct nlmsghdr and what follows it. */
function request(type: number, parts: readonly Buffer[]): Uint8Array {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(header.length + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, 6);
  header.writeUInt32LE(1, 8); // the sequence number
  return Buffer.concat([header, body]);
}

/** struct ifinfomsg: which device, and which of its flags change to what. Index 0: an attribute names it. */
function linkHeader(link: Link, { flags, change }: { flags: number; change: number }): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(typeof link === 'number' ? link : 0, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

function linkName(link: Link): Buffer[] {
  if (typeof link === 'number') return [];
  const name = Buffer.from(`${link}\0`);
  // As the kernel's dev_valid_name has it.
  if (link === '' || link === '.' || link === '..' || /[/:\s\0]/.test(link) || name.length > IFNAMSIZ)
    throw new RangeError(`${JSON.stringify(link)} is no name of a network device`);
  return [attribute(IFLA_IFNAME, name)];
}

/** struct rtattr: its length leaves the padding out. */
function attribute(type: number, value: Buffer): Buffer {
  const length = 4 + value.length;
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}
