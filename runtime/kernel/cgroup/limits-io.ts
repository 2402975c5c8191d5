/**
 * Limits of disks: weights, which the BFQ scheduler or version 2's cost model share a disk by, and rates, which the throttle layer
 * holds on any disk. cgroup-v1/blkio-controller.rst; cgroup-v2.rst, "IO Interface Files"; block/bfq-iosched.rst.
 */
import { TareError } from '../error.js';
import { BASE, maxOr, type Part, type Setting, settingsOf } from './setting.js';
import type { CgroupLimits, Unrealised } from './types.js';

type BlockIO = NonNullable<CgroupLimits['blockIO']>;

const THROTTLES = [
  ['throttleReadBpsDevice', 'read_bps_device', 'rbps'],
  ['throttleWriteBpsDevice', 'write_bps_device', 'wbps'],
  ['throttleReadIOPSDevice', 'read_iops_device', 'riops'],
  ['throttleWriteIOPSDevice', 'write_iops_device', 'wiops'],
] as const;

export function blockIoPart(blockIO: BlockIO, version: 1 | 2): Part {
  checkWeights(blockIO);
  return version === 1 ? versionOne(blockIO) : versionTwo(blockIO);
}

/** The CFQ scheduler's files went with it (Linux 5.0); BFQ's have the same grammar, and no weight of leaves. */
const BFQ_V1 = { optional: { withRoot: 'blkio.bfq.io_serviced' } } as const;
const CFQ = { optional: { withRoot: 'blkio.weight' } } as const;

function versionOne({ weight, leafWeight, weightDevice = [], ...throttles }: BlockIO): Part {
  const set = settingsOf('blkio', 'blockIO');
  const list: Setting[] = [];
  if (weight)
    list.push(set('weight', 'weight', weight, { ...CFQ, otherwise: set('bfq.weight', 'weight', weight, BFQ_V1) }));
  if (leafWeight) list.push(set('leaf_weight', 'leafWeight', leafWeight, CFQ));
  for (const [i, device] of weightDevice.entries()) {
    const name = `weightDevice[${i}]`;
    const own = `${device.major}:${device.minor} ${device.weight}`;
    if (device.weight)
      list.push(set('weight_device', name, own, { ...CFQ, otherwise: set('bfq.weight_device', name, own, BFQ_V1) }));
    if (device.leafWeight)
      list.push(set('leaf_weight_device', name, `${device.major}:${device.minor} ${device.leafWeight}`, CFQ));
  }
  for (const [name, file] of THROTTLES)
    for (const [i, { major, minor, rate }] of (throttles[name] ?? []).entries())
      list.push(set(`throttle.${file}`, `${name}[${i}]`, `${major}:${minor} ${maxOr(rate)}`));
  return { settings: list };
}

/** BFQ may be a module. The cost model's settings lie in the root. */
const BFQ_V2 = { optional: { with: '/sys/module/bfq' } } as const;
const COST_MODEL = { optional: { withRoot: 'io.cost.qos' } } as const;

function versionTwo({ weight, leafWeight, weightDevice = [], ...throttles }: BlockIO): Part {
  const set = settingsOf('io', 'blockIO');
  const list: Setting[] = [];
  const ignored: Unrealised[] = [];
  if (weight)
    list.push(
      set('bfq.weight', 'weight', weight, {
        ...BFQ_V2,
        otherwise: set('weight', 'weight', blkioToIoWeight(weight), COST_MODEL),
      }),
    );
  const noLeaves = 'version 2 has no weight of leaves: there, processes are in leaves alone';
  if (leafWeight) ignored.push({ field: `${BASE}.blockIO.leafWeight`, why: noLeaves });
  for (const [i, device] of weightDevice.entries()) {
    const name = `weightDevice[${i}]`;
    const where = `${device.major}:${device.minor}`;
    if (device.weight)
      list.push(
        set('bfq.weight', name, `${where} ${device.weight}`, {
          ...BFQ_V2,
          otherwise: set('weight', name, `${where} ${blkioToIoWeight(device.weight)}`, COST_MODEL),
        }),
      );
    if (device.leafWeight) ignored.push({ field: `${BASE}.blockIO.${name}.leafWeight`, why: noLeaves });
  }
  for (const [name, , key] of THROTTLES)
    for (const [i, { major, minor, rate }] of (throttles[name] ?? []).entries())
      list.push(set('max', `${name}[${i}]`, `${major}:${minor} ${key}=${rate === 0 ? 'max' : maxOr(rate)}`));
  return { settings: list, ignored };
}

/** 10 to 1000 as 1 to 10000, by a straight line. */
function blkioToIoWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

function checkWeights({ weight, leafWeight, weightDevice = [] }: BlockIO): void {
  const check = (value: number | undefined, path: string) => {
    if (value && (value < 10 || value > 1000))
      throw new TareError('config', `${path} ${value} is not from 10 to 1000`, { path: `${BASE}.blockIO.${path}` });
  };
  check(weight, 'weight');
  check(leafWeight, 'leafWeight');
  for (const [i, device] of weightDevice.entries()) {
    check(device.weight, `weightDevice[${i}].weight`);
    check(device.leafWeight, `weightDevice[${i}].leafWeight`);
  }
}
