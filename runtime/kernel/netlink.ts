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

/**
 * Moves a device to another network namespace, with a new name and a new index there: `ip link set LINK netns ... name NAME`. A
 * name with `%d` gets the first number that is free.
 * @param netns the number of a descriptor of the namespace, in the process that sends it
 * @param newIndex before Linux 5.13 it is not heard, and the index stays unless it is taken there
 */
export function moveLink(link: number, to: { netns: number; name: string; newIndex?: number }): Uint8Array {
  return request(RTM_NEWLINK, [
    linkHeader(link, { flags: 0, change: 0 }),
    ...linkName(to.name),
    attribute(IFLA_NET_NS_FD, u32(to.netns)),
    ...(to.newIndex === undefined ? [] : [attribute(IFLA_NEW_IFINDEX, u32(to.newIndex))]),
  ]);
}

/** An address of a device, as the kernel tells it and as it is told to. <linux/if_addr.h>. */
export interface LinkAddress {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  readonly prefix: number;
  /** IFA_F_*. */
  readonly flags: number;
  /** RT_SCOPE_*; 0 is the universe. */
  readonly scope: number;
  /** IFA_LOCAL and IFA_ADDRESS: the same, or the address of the other end. The broadcast address, where there is one. */
  readonly local?: Uint8Array;
  readonly address?: Uint8Array;
  readonly broadcast?: Uint8Array;
}

/** `ip address add ADDRESS dev LINK`. */
export function addAddress(link: number, address: LinkAddress): Uint8Array {
  const header = Buffer.alloc(8);
  header.writeUInt8(address.family, 0);
  header.writeUInt8(address.prefix, 1);
  header.writeUInt8(address.scope, 3);
  header.writeUInt32LE(link, 4);
  const attributes = [
    [IFA_LOCAL, address.local],
    [IFA_ADDRESS, address.address],
    [IFA_BROADCAST, address.broadcast],
    [IFA_FLAGS, u32(address.flags)],
  ] as const;
  return request(
    RTM_NEWADDR,
    [header, ...attributes.flatMap(([type, value]) => (value ? [attribute(type, Buffer.from(value))] : []))],
    NLM_F_CREATE | NLM_F_EXCL,
  );
}

/** Asks for one device, by its name. */
export function getLink(name: string): Uint8Array {
  return request(RTM_GETLINK, [linkHeader(name, { flags: 0, change: 0 }), ...linkName(name)]);
}

/** Asks for all addresses of all devices. */
export function getAddresses(): Uint8Array {
  return request(RTM_GETADDR, [Buffer.alloc(8)], NLM_F_DUMP);
}

/** The index in an answer to `getLink`; undefined when there is none in it. */
export function linkIndex(answer: Buffer): number | undefined {
  return messages(answer)
    .find(({ type }) => type === RTM_NEWLINK)
    ?.body.readInt32LE(4);
}

/** The addresses in an answer to `getAddresses` that are of this device. */
export function linkAddresses(answer: Buffer, link: number): LinkAddress[] {
  return messages(answer).flatMap(({ type, body }) => {
    if (type !== RTM_NEWADDR || body.readUInt32LE(4) !== link) return [];
    const values = attributes(body.subarray(8));
    return {
      family: body.readUInt8(0),
      prefix: body.readUInt8(1),
      flags: values.get(IFA_FLAGS)?.readUInt32LE() ?? body.readUInt8(2),
      scope: body.readUInt8(3),
      local: values.get(IFA_LOCAL),
      address: values.get(IFA_ADDRESS),
      broadcast: values.get(IFA_BROADCAST),
    };
  });
}

/** The protocol of these requests, for socket(2). */
export const NETLINK_ROUTE = 0;

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_DUMP = 0x300;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const IFF_UP = 0x1;
const IFLA_IFNAME = 3;
const IFLA_NET_NS_FD = 28;
const IFLA_NEW_IFINDEX = 49;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
/** With the terminating NUL: <linux/if.h>. */
const IFNAMSIZ = 16;

/** struct nlmsghdr and what follows it. */
function request(type: number, parts: readonly Buffer[], flags = 0): Uint8Array {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(header.length + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK | flags, 6);
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

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function messages(answer: Buffer): { type: number; body: Buffer }[] {
  const found: { type: number; body: Buffer }[] = [];
  for (let at = 0; at + 16 <= answer.length; ) {
    const length = answer.readUInt32LE(at);
    if (length < 16 || at + length > answer.length) break;
    found.push({ type: answer.readUInt16LE(at + 4), body: answer.subarray(at + 16, at + length) });
    at += (length + 3) & ~3;
  }
  return found;
}

function attributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2), bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}
