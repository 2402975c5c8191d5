/**
 * The host's network devices that config.json asks for: looked at, before anything is made, for where they are and which addresses they
 * keep: those of a permanent kind that hold everywhere. rtnetlink(7), config-linux.md, "Network Devices".
 */
import { randomInt } from 'node:crypto';
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import type { Features } from '../kernel/features.js';
import { getAddresses, getLink, type LinkAddress, linkAddresses, linkIndex, NETLINK_ROUTE } from '../kernel/netlink.js';
import type { Config } from '../oci/index.js';
import type { Caller, MovedDevice } from '../plan/index.js';

/** @throws TareError `permission`, `config` for a device that is not there */
export function netDevicesOf({ linux }: Config, features: Features, caller: Caller): MovedDevice[] {
  const asked = Object.entries(linux?.netDevices ?? {});
  if (asked.length === 0) return [];
  if (caller.uid !== 0) {
    throw new TareError('permission', 'config.json: linux.netDevices: only root may move network devices', {
      path: 'linux.netDevices',
    });
  }
  const addresses = native.netlink(NETLINK_ROUTE, getAddresses());
  return asked.map(([name, device]) => {
    const index = indexOf(name);
    const newName = device.name || name;
    // The kernel would say so when the device has left the host, and it would go with the namespace.
    if (newName === 'lo') throw refusal(name, 'cannot be lo, which every network namespace has already');
    return {
      name,
      index,
      newIndex: features.linkIndex ? randomInt(FIRST_INDEX, LAST_INDEX) : index,
      newName,
      addresses: linkAddresses(addresses, index).filter(isKept).map(withoutState),
    };
  });
}

/** Far above what a namespace gives by itself, so that it is free in any: an index that is taken refuses the move. */
const FIRST_INDEX = 2 ** 24;
const LAST_INDEX = 2 ** 31 - 1;

const IFA_F_NODAD = 0x02;
const IFA_F_PERMANENT = 0x80;
const IFA_F_MANAGETEMPADDR = 0x100;
const IFA_F_NOPREFIXROUTE = 0x200;

function isKept({ flags, scope }: LinkAddress): boolean {
  return (flags & IFA_F_PERMANENT) !== 0 && scope === 0;
}

/** What was asked of the kernel when the address was made, not what has become of it (tentative, deprecated ...). */
function withoutState(address: LinkAddress): LinkAddress {
  return { ...address, flags: address.flags & (IFA_F_NODAD | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE) };
}

function indexOf(name: string): number {
  try {
    const index = linkIndex(native.netlink(NETLINK_ROUTE, getLink(name)));
    if (index !== undefined) return index;
  } catch (cause) {
    if (!(cause instanceof TareError && cause.syscall?.errno === 'ENODEV')) throw cause;
  }
  throw refusal(name, 'is no network device that is here');
}

function refusal(name: string, why: string): TareError {
  const path = `linux.netDevices[${JSON.stringify(name)}]`;
  return new TareError('config', `config.json: ${path} ${why}`, { path });
}
