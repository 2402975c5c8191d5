/**
 * Tiny, chapter 5: the program of chapter 3 with a root of its own. New are --rootfs, pivot_root(2), and mounts that the
 * new root needs. Run it as root: `node tiny.js --rootfs DIR [--hostname NAME] -- PROGRAM ARGUMENT...`
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
} from '../../runtime/kernel/constants/clone.js';
import {
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_REC,
} from '../../runtime/kernel/constants/mount.js';
import { PlanBuilder, runPlan } from '../../runtime/plan/index.js';

const { values, positionals } = parseArgs({
  options: { rootfs: { type: 'string', default: '.' }, hostname: { type: 'string', default: 'tiny' } },
  allowPositionals: true,
});
const [program = '/bin/sh', ...args] = positionals;
const env = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', `TERM=${process.env.TERM ?? 'dumb'}`];
const plan = new PlanBuilder();
const { outside, inside } = plan;

const flags = CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWNS;
const child = outside.clone({ lane: 'inside', flags, cgroup: 'none' }, 'six namespaces in one call');
outside.supervise({ pid: child.pid, state: 'none', listener: 'none' }, 'and this one waits for it');

inside.sethostname({ name: values.hostname }, 'seen in this uts namespace only');

// #region root
const rootfs = resolve(values.rootfs);
const mount = (source: string, target: string, type: string, flags: number, data: string, why: string) =>
  inside.mount({ source, target, type, flags, data }, why);

mount('none', '/', 'none', MS_REC | MS_PRIVATE, '', 'nothing that is mounted here reaches the machine');
mount(rootfs, rootfs, 'none', MS_BIND | MS_REC, '', 'the new root has to be a mount point');
inside.chdir({ path: rootfs }, 'this mount will be the root');
inside.pivot_root({ newRoot: '.', putOld: '.' }, 'it is, and the old root lies on top of it');
inside.umount2({ target: '.', flags: MNT_DETACH }, 'the old root goes, with all its mounts');
inside.chdir({ path: '/' }, 'the working directory is in the new root');
// #endregion

// #region furniture
const safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
mount('proc', '/proc', 'proc', safe, '', 'ps looks here');
mount('tmpfs', '/tmp', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777,size=16m', 'files that go with the container');
// #endregion
inside.exec({ candidates: [program], argv: [program, ...args], env }, 'the child becomes the program');

process.on('SIGINT', () => undefined); // Ctrl-C is for the program, which gets it too
const status = await runPlan(plan.build()).exited;
process.exitCode = status & 127 ? 128 + (status & 127) : status >> 8; // as wait(2) encodes it
