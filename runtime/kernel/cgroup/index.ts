/**
 * Control groups, for every layout that hosts have: version 1, version 2, and the hybrid of both. Everything that decides
 * is a pure function that yields data; the plan compiler turns it into steps, and the journal undoes it by `removeCgroup`.
 */
export { detectCgroups, realCgroupFiles } from './detect.js';
export { DEFAULT_DEVICE_RULES } from './devices.js';
export { freezeCgroup, isFrozen, thawCgroup, thawKilled, type WaitOptions } from './freeze.js';
export { killCgroup, signalCgroup } from './kill.js';
export { sharesToWeight, weightToShares } from './limits.js';
export { oomEvents, oomKills } from './oom.js';
export { checkCgroupPath } from './path.js';
export { entranceOf, planCgroup } from './plan.js';
export { processesOf } from './processes.js';
export { removeCgroup, removeCgroups } from './remove.js';
export { cgroupStats } from './stats.js';
export type { CgroupStats, Count, NetworkInterfaceStats } from './stats-types.js';
export { cgroupsToJoin, subCgroup } from './sub-cgroup.js';
export type {
  CgroupAction,
  CgroupFiles,
  CgroupHost,
  CgroupLayout,
  CgroupLimits,
  CgroupPlace,
  CgroupPlan,
  CgroupRequest,
  DeviceRule,
  Hierarchy,
} from './types.js';
export { mergeLimits, updateCgroup } from './update.js';
