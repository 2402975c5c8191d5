/** The face of oci/: types and validation of the OCI runtime specification. */
export type {
  Capabilities,
  Config,
  Device,
  DeviceRule,
  IdMapping,
  Linux,
  Mount,
  Namespace,
  NamespaceType,
  Process,
  Resources,
  Rlimit,
  Seccomp,
  User,
} from './config.js';
export { MAX_ID, NAMESPACE_TYPES } from './config.js';
export { type ContainerId, containerId } from './id.js';
export type { Fault } from './schema.js';
export { OCI_VERSION, type OciState, type Status } from './state.js';
export { type Bundle, checkConfig, loadBundle, parseConfig, validConfig } from './validate.js';
