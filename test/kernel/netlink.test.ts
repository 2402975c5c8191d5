/** Questions by netlink, as the kernel answers them, and what is made of the answers. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import {
  addAddress,
  getAddresses,
  getLink,
  linkAddresses,
  linkIndex,
  moveLink,
  NETLINK_ROUTE,
} from '../../runtime/kernel/netlink.js';
import { failureOf, withoutLeak } from './support.js';

describe('the kernel', () => {
  it('tells the index of a device, and which there is not', () => {
    withoutLeak(() => {
      expect(linkIndex(native.netlink(NETLINK_ROUTE, getLink('lo')))).toBe(1);
      expect(failureOf(() => native.netlink(NETLINK_ROUTE, getLink('nodevice0')))).toMatchObject({
        syscall: { name: 'netlink', errno: 'ENODEV' },
      });
    });
  });

  it('tells all addresses, those that Node knows among them', () => {
    const answer = native.netlink(NETLINK_ROUTE, getAddresses());
    const indexes = new Map(
      readFileSync('/proc/net/dev', 'utf8')
        .split('\n')
        .slice(2)
        .filter(Boolean)
        .map((line) => (line.split(':')[0] as string).trim())
        .map((name) => [name, linkIndex(native.netlink(NETLINK_ROUTE, getLink(name))) as number]),
    );
    for (const [name, known = []] of Object.entries(networkInterfaces())) {
      const found = linkAddresses(answer, indexes.get(name) as number);
      const v4 = found.filter(({ family }) => family === 2).map(({ local, prefix }) => `${local?.join('.')}/${prefix}`);
      expect(v4).toEqual(
        expect.arrayContaining(known.filter(({ family }) => family === 'IPv4').map(({ cidr }) => cidr)),
      );
    }
  });

  it('is asked nothing that it would not answer', () => {
    const silent = Buffer.from(getLink('lo'));
    silent.writeUInt16LE(1, 6); // NLM_F_REQUEST alone
    expect(failureOf(() => native.netlink(NETLINK_ROUTE, silent)).message).toMatch(/EINVAL/);
    expect(failureOf(() => native.netlink(NETLINK_ROUTE, Buffer.alloc(3))).message).toMatch(/EINVAL/);
    expect(failureOf(() => native.netlink(99, getLink('lo'))).message).toMatch(/^socket\(AF_NETLINK.*EPROTONOSUPPORT/);
  });
});

describe('a request', () => {
  it('moves a device by its index, with its new name and index', () => {
    const message = Buffer.from(moveLink(7, { netns: 901, name: 'lan%d', newIndex: 5000 }));
    expect(message.readInt32LE(16 + 4)).toBe(7);
    expect(message.subarray(32).toString('hex')).toBe(
      ['0a000300', Buffer.from('lan%d\0\0\0').toString('hex'), '08001c00', '85030000', '08003100', '88130000'].join(''),
    );
  });

  it('gives back an address as it was told', () => {
    const address = {
      family: 2,
      prefix: 24,
      flags: 0x200,
      scope: 0,
      local: Uint8Array.of(10, 0, 0, 2),
      address: Uint8Array.of(10, 0, 0, 2),
      broadcast: Uint8Array.of(10, 0, 0, 255),
    };
    const message = Buffer.from(addAddress(3, address));
    message.writeUInt16LE(20, 4); // RTM_NEWADDR is also what the kernel answers with
    expect(linkAddresses(message, 3)).toMatchObject([{ family: 2, prefix: 24, flags: 0x200, scope: 0 }]);
    expect([...(linkAddresses(message, 3)[0]?.broadcast ?? [])]).toEqual([10, 0, 0, 255]);
    expect(linkAddresses(message, 4)).toEqual([]);
  });

  it.each(['cut off', 'of no length'])('whose answer is %s yields what is whole', (how) => {
    const answer = Buffer.from(addAddress(3, { family: 2, prefix: 8, flags: 0, scope: 0 }));
    if (how === 'of no length') answer.writeUInt32LE(0, 0);
    expect(linkAddresses(how === 'cut off' ? answer.subarray(0, answer.length - 1) : answer, 3)).toEqual([]);
  });
});
