/** The whole suite, in the order in which a runtime is best got to know. */
import { commands } from './cases/commands.js';
import { terminals } from './cases/console.js';
import { exec } from './cases/exec.js';
import { hooks } from './cases/hooks.js';
import { killing } from './cases/kill.js';
import { lifecycle } from './cases/lifecycle.js';
import { mounts } from './cases/mounts.js';
import { namespaces } from './cases/namespaces.js';
import { processes } from './cases/process.js';
import { resources } from './cases/resources.js';
import { seccomp } from './cases/seccomp.js';
import type { Suite } from './suite.js';

export const SUITES: readonly Suite[] = [
  ...[commands, lifecycle, killing, exec, terminals, hooks],
  ...[processes, mounts, namespaces, seccomp, resources],
];
