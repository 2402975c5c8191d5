/** Who makes a container, for tests of plans that no container is made of: root with every right. */
import { ALL_CAPABILITIES } from '../../runtime/kernel/capabilities.js';
import type { Caller } from '../../runtime/plan/index.js';

export const ROOT: Caller = {
  uid: 0,
  gid: 0,
  capabilities: ALL_CAPABILITIES,
  allCapabilities: ALL_CAPABILITIES,
  hardLimit: () => undefined,
};
