/** The rules of namespaces, and of what is set in one: names, clocks, network devices. config-linux.md#namespaces */
import type { Fault } from '../schema.js';
import { absolute, faultIf, type Rule } from './rule.js';

export const ofNamespaces: Rule = ({ linux }) =>
  (linux?.namespaces ?? []).flatMap(({ type, path }, i, all) => [
    ...faultIf(
      all.findIndex((other) => other.type === type) < i,
      `linux.namespaces[${i}].type`,
      `names ${type} a second time`,
    ),
    ...(path ? absolute(`linux.namespaces[${i}].path`, path) : []),
  ]);

export const ofNames: Rule = (config) =>
  (['hostname', 'domainname'] as const).flatMap((path) => {
    const length = Buffer.byteLength(config[path] ?? '');
    return faultIf(length > 64, path, `has at most 64 characters (uname(2)), not ${length}`);
  });

export const ofTimeOffsets: Rule = (config) => {
  const clocks = Object.keys(config.linux?.timeOffsets ?? {});
  if (clocks.length === 0) return [];
  const time = config.linux?.namespaces?.find(({ type }) => type === 'time');
  const path = 'linux.timeOffsets';
  if (!time) return [{ path, message: 'needs a time namespace in linux.namespaces' }];
  return faultIf(Boolean(time.path), path, 'cannot be had in a time namespace that is joined: its clocks run already');
};

export const ofNetDevices: Rule = (config) => {
  const devices = Object.entries(config.linux?.netDevices ?? {});
  const targets = devices.map(([name, device]) => device.name || name);
  return devices.flatMap(([name, device], i): Fault[] => {
    const path = `linux.netDevices[${JSON.stringify(name)}]`;
    const target = targets[i] as string;
    return [
      ...interfaceName(path, name),
      ...(device.name ? interfaceName(`${path}.name`, device.name) : []),
      // Of `eth%d` the kernel makes eth0, eth1 and so on.
      ...faultIf(
        !target.includes('%d') && targets.indexOf(target) < i,
        device.name ? `${path}.name` : path,
        `would be ${target} in the container, as another one`,
      ),
    ];
  });
};

/** dev_valid_name of the kernel: IFNAMSIZ is 16, with the byte that ends it. */
function interfaceName(path: string, name: string): Fault[] {
  const valid = Buffer.byteLength(name) < 16 && name !== '.' && name !== '..' && /^[^/:\s]+$/.test(name);
  return faultIf(!valid, path, `must be the name of a network device, not ${JSON.stringify(name)}`);
}
