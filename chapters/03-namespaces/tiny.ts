/**
 * Tiny, chapter 3: the program of chapter 1 with more namespaces. New are a host name, a /proc that fits, and a clock that
 * starts elsewhere. Run it as root: `node tiny.js [--hostname NAME] [--uptime SECONDS] -- PROGRAM ARGUMENT...`
 */
import { parseArgs } from 'node:util';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUTS,
} from '../../runtime/kernel/constants/clone.js';
import { MS_PRIVATE, MS_REC } from '../../runtime/kernel/constants/mount.js';
import { O_CLOEXEC, O_WRONLY } from '../../runtime/kernel/constants/open.js';
import { PlanBuilder, runPlan } from '../../runtime/plan/index.js';

const { values, positionals } = parseArgs({
  options: { hostname: { type: 'string', default: 'tiny' }, uptime: { type: 'string', default: '0' } },
  allowPositionals: true,
});
const [program = '/bin/sh', ...args] = positionals;
const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
const plan = new PlanBuilder();
const { outside, inside } = plan;

// #region time
outside.unshare({ flags: CLONE_NEWTIME }, 'the next child has clocks of its own');
const clocks = outside.open_proc({ pid: 'self', path: 'timens_offsets', flags: O_WRONLY | O_CLOEXEC }, 'to set them');
outside.write({ fd: clocks, data: Buffer.from(`boottime ${values.uptime} 0\n`) }, 'while nobody is in there yet');
// #endregion

// #region clone
const flags = CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWNS;
const child = outside.clone({ lane: 'inside', flags, cgroup: 'none' }, 'six namespaces in one call');
outside.supervise({ pid: child.pid, state: 'none', listener: 'none' }, 'and this one waits for it');
// #endregion

// #region inside
inside.sethostname({ name: values.hostname }, 'seen in this uts namespace only');
const privately = { source: 'none', target: '/', type: 'none', flags: MS_REC | MS_PRIVATE, data: '' };
inside.mount(privately, 'what is mounted from here on stays in here');
inside.mount({ source: 'proc', target: '/proc', type: 'proc', flags: 0, data: '' }, 'ps looks here');
inside.exec({ candidates: [program], argv: [program, ...args], env }, 'the child becomes the program');
// #endregion

process.on('SIGINT', () => undefined); // Ctrl-C is for the program, which gets it too
const status = await runPlan(plan.build()).exited;
process.exitCode = status & 127 ? 128 + (status & 127) : status >> 8; // as wait(2) encodes it
