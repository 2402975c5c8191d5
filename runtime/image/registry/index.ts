/**
 * The face of registry/: a client of the OCI distribution protocol 1.1.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
 */
export type { Credentials } from './credentials.js';
export type { Limits } from './limits.js';
export { type Account, type KeptAt, login, logout } from './login.js';
export type { RegistryOptions } from './options.js';
export { type Pulled, type PullOptions, pull } from './pull.js';
export { type Pushed, type PushOptions, push } from './push.js';
export { findReferrers, listReferrers, type Referrers, type ReferrersOptions } from './referrers.js';
export { listTags } from './tags.js';
