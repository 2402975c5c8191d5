/**
 * The rules of `linux.resources`: config-linux.md#control-groups. `update` reads the same object as a document of its own,
 * where what is not named stays as it is; so limits are compared with each other only where both are there.
 */
import type { Resources } from '../resources.js';
import type { Fault } from '../schema.js';
import { ofList } from './process.js';
import { below, faultIf, type Rule } from './rule.js';

export const ofResources: Rule = ({ linux }) =>
  linux?.resources === undefined ? [] : resourcesFaults(linux.resources, 'linux.resources');

/** @param at JSON path of the resources; empty for a document of its own */
export function resourcesFaults(resources: Resources, at: string): Fault[] {
  return [
    ...ofDeviceRules(resources, below(at, 'devices')),
    ...ofMemory(resources, below(at, 'memory')),
    ...ofCpu(resources, below(at, 'cpu')),
    ...ofOthers(resources, at),
  ];
}

function ofDeviceRules({ devices = [] }: Resources, at: string): Fault[] {
  return devices.flatMap(({ access = 'rwm' }, i) =>
    faultIf(!/^[rwm]*$/.test(access), `${at}[${i}].access`, `is made of r, w and m, not ${JSON.stringify(access)}`),
  );
}

function ofMemory({ memory = {} }: Resources, at: string): Fault[] {
  const { limit = 0, swap = 0 } = memory;
  const limits = ['limit', 'reservation', 'swap', 'kernel', 'kernelTCP'] as const;
  return [
    ...limits.flatMap((name) =>
      faultIf(
        (memory[name] ?? 0) < -1,
        `${at}.${name}`,
        `is a number of bytes, or -1 for no limit, not ${memory[name]}`,
      ),
    ),
    ...faultIf(
      limit > 0 && swap > 0 && swap < limit,
      `${at}.swap`,
      `is ${swap}: memory and swap together cannot be less than memory alone, ${limit}`,
    ),
  ];
}

function ofCpu({ cpu = {} }: Resources, at: string): Fault[] {
  const { quota = 0, burst = 0 } = cpu;
  return [
    ...ofList(cpu.cpus, `${at}.cpus`),
    ...ofList(cpu.mems, `${at}.mems`),
    ...faultIf(quota > 0 && burst > quota, `${at}.burst`, `must not be larger than quota, ${quota}`),
  ];
}

function ofOthers({ hugepageLimits = [], blockIO, rdma = {}, unified = {}, network }: Resources, at: string): Fault[] {
  return [
    ...hugepageLimits.flatMap(({ pageSize }, i) =>
      faultIf(
        !/^[1-9][0-9]*[KMG]B$/.test(pageSize),
        below(at, `hugepageLimits[${i}].pageSize`),
        `must be a size as 64KB, 2MB or 1GB, not ${JSON.stringify(pageSize)}`,
      ),
    ),
    ...(blockIO?.weightDevice ?? []).flatMap(({ weight, leafWeight }, i) =>
      faultIf(
        weight === undefined && leafWeight === undefined,
        below(at, `blockIO.weightDevice[${i}]`),
        'must have weight or leafWeight',
      ),
    ),
    ...Object.entries(rdma).flatMap(([name, { hcaHandles, hcaObjects }]) =>
      faultIf(
        hcaHandles === undefined && hcaObjects === undefined,
        below(at, `rdma[${JSON.stringify(name)}]`),
        'must have hcaHandles or hcaObjects',
      ),
    ),
    ...(network?.priorities ?? []).flatMap(({ name }, i) =>
      faultIf(name === '', below(at, `network.priorities[${i}].name`), 'must not be empty'),
    ),
    // It is joined to the path of the cgroup.
    ...Object.keys(unified).flatMap((name) =>
      faultIf(
        name === '' || name === '.' || name === '..' || name.includes('/'),
        below(at, `unified[${JSON.stringify(name)}]`),
        'must be the name of a file in the cgroup, without a slash',
      ),
    ),
  ];
}
