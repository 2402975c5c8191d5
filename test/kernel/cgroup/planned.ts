/** Plans of cgroups, for machines that are only described; and what is done by one, as a list that can be read. */
import {
  type CgroupAction,
  type CgroupFiles,
  type CgroupLimits,
  type CgroupPlan,
  detectCgroups,
  planCgroup,
} from '../../../runtime/kernel/cgroup/index.js';

/** `mkdir PATH`, `FILE=VALUE` or `program PATH`: what is done, in order. */
export const show = (action: CgroupAction) => {
  if (action.do === 'mkdir') return `mkdir ${action.path}`;
  return action.do === 'write' ? `${action.path}=${action.value}` : `program ${action.path}`;
};

export function plan(
  files: CgroupFiles,
  path: string,
  limits: CgroupLimits = {},
  hierarchies: 'all' | 'needed' = 'needed',
): CgroupPlan {
  return planCgroup(detectCgroups(files), { path, limits, hierarchies }, files);
}
