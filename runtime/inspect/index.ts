/**
 * The face of inspect: what is true about a process, wherever it is. Everything takes a ProcSource: `localProc()` for this
 * machine, or a `Machine` of runtime/vm. Failures are TareErrors: `not-found` (no such process), `permission`, `protocol`.
 */

export { type MountInfo, propagation } from '../kernel/mountinfo.js';
export { type CgroupFacts, type CgroupLimits, cgroupLimits, cgroups, type Limit } from './cgroups.js';
export type { Change, ChangeArea } from './change.js';
export { type Containment, containment, type Finding, type Grade } from './containment.js';
export { describeFacts, type Row, type Section } from './describe.js';
export {
  cmdline,
  cwd,
  descriptorCount,
  exe,
  gidMap,
  type IdMapping,
  mountInfo,
  oomScore,
  type Place,
  type ResourceLimit,
  resourceLimits,
  root,
  sameRoot,
  securityLabel,
  uidMap,
} from './details.js';
export { diffFacts } from './diff.js';
export { childrenOf, type FoundProcess, findProcesses, isAlive, processIds } from './find.js';
export { localProc } from './local-proc.js';
export { type MachineView, machineView } from './machine-view.js';
export {
  CHILD_NAMESPACE_TYPES,
  compareNamespaces,
  NAMESPACE_TYPES,
  type NamespaceInodes,
  type NamespaceLink,
  type NamespaceType,
  namespaceInode,
  namespaceInodes,
  sharedNamespaces,
  shareNamespaces,
} from './namespaces.js';
export type { FileFacts, ProcSource } from './proc-source.js';
export { type CapabilityNames, inspectProcess, type ProcessFacts } from './process.js';
export {
  type CapabilityMasks,
  type Ids,
  type ProcessStat,
  type ProcessStatus,
  parseStat,
  parseStatus,
  startTime,
  stat,
  status,
} from './status.js';
export { visible } from './visible.js';
