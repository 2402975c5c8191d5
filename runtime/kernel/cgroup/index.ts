/**
 * Control groups, for every layout that hosts have: version 1, version 2, and the hybrid of both. Everything that decides
 * is a pure function that yields data; the plan compiler turns it into steps, and the journal undoes it by `removeCgroup`.
 */
export { detectCgroups, realCgroupFiles } from './detect.js';
export { DEFAULT_DEVICE_RULES } from './devices.js';
export { killCgroup, processesOf, setFrozen } from './kill.js';
export { sharesToWeight, weightToShares } from './limits.js';
export { checkCgroupPath } from './path.js';
export { entranceOf, planCgroup } from './plan.js';
export { removeCgroup, removeCgroups } from './remove.js';
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
