/**
 * Tiny, chapter 1: the smallest program that deserves the name of a container. It starts one process, as pid 1 of a pid
 * namespace. Run it as root: `node tiny.js PROGRAM ARGUMENT...`; a shell unless told.
 */
import { CLONE_NEWPID } from '../../runtime/kernel/constants/clone.js';
import { PlanBuilder, runPlan } from '../../runtime/plan/index.js';

// #region tiny
const [program = '/bin/sh', ...args] = process.argv.slice(2);
const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);

const plan = new PlanBuilder();
const child = plan.outside.clone({ lane: 'inside', flags: CLONE_NEWPID, cgroup: 'none' }, 'a new process');
plan.inside.exec({ candidates: [program], argv: [program, ...args], env }, 'which becomes the program');
plan.outside.supervise({ pid: child.pid, state: 'none', listener: 'none' }, 'and this one waits for it');

process.on('SIGINT', () => undefined); // Ctrl-C is for the program, which gets it too
const status = await runPlan(plan.build()).exited;
process.exitCode = status & 127 ? 128 + (status & 127) : status >> 8; // as wait(2) encodes it
// #endregion
