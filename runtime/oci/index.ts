/** The face of oci/: types and validation of the OCI runtime specification. */
export { ANNOTATIONS, annotation } from './annotations.js';
export type { Config, Hook, HookName, Hooks, Mount } from './config.js';
export { HOOK_NAMES } from './config.js';
export type { IdMapping } from './fields.js';
export { MAX_ID, MAX_USER_ID } from './fields.js';
export { type ContainerId, containerId } from './id.js';
export type {
  Device,
  IntelRdt,
  Linux,
  MemoryPolicy,
  MemoryPolicyFlag,
  MemoryPolicyMode,
  Namespace,
  NamespaceType,
  NetDevice,
  Personality,
  TimeOffset,
  TimeOffsets,
} from './linux.js';
export { MEMORY_POLICY_FLAGS, MEMORY_POLICY_MODES, NAMESPACE_TYPES, PROPAGATIONS } from './linux.js';
export { parseNumberList } from './number-list.js';
export type { OverlayFolders } from './overlay.js';
export { refuseChangesOfHost, refuseUnsupported } from './possible.js';
export type {
  Capabilities,
  CpuAffinity,
  IoPriority,
  IoPriorityClass,
  Process,
  Rlimit,
  Scheduler,
  SchedulerFlag,
  SchedulerPolicy,
  User,
} from './process.js';
export { IO_PRIORITY_CLASSES, SCHEDULER_FLAGS, SCHEDULER_POLICIES } from './process.js';
export type {
  BlockIO,
  CpuLimits,
  DeviceRule,
  HugepageLimit,
  MemoryLimits,
  NetworkClass,
  RdmaLimit,
  Resources,
  ThrottleDevice,
  WeightDevice,
} from './resources.js';
export { sysctlPath } from './rules/sysctl.js';
export type { Fault } from './schema.js';
export type { Seccomp } from './seccomp.js';
export { OCI_VERSION, type OciState, type Status } from './state.js';
export {
  type Bundle,
  checkConfig,
  loadBundle,
  parseConfig,
  parseDocument,
  validConfig,
  validProcess,
  validResources,
} from './validate.js';
