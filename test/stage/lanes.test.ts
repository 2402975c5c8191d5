/** Lanes: namespaces of the child, posts that carry descriptors, the bridge, and how lanes and stage end. */
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { until } from '../harness/until.js';
import { CLONE, O, PR } from './flags.js';
import { CWD, NONE, planBytes, shell, step } from './plan-bytes.js';
import { BUILDS, hasEnded, REPLY, Stage } from './stage.js';

const { ECANCELED, ENOENT, EPROTO } = constants.errno;
const NOBODY = 65534;

describe.each(BUILDS)('%s: lanes', (build) => {
  it('clone makes exactly the namespaces that it is told', async () => {
    const flags = CLONE.newns | CLONE.newuts | CLONE.newipc | CLONE.newpid | CLONE.newnet | CLONE.newcgroup;
    const outside = [step('clone', [1, flags, NONE], { out: [0, 1] }), step('call', ['look', NONE], { out: [2] })];
    const inside = [step('wait', [0, 1])];
    await using stage = new Stage(planBytes({ lanes: [[...outside, step('post', [1, 1, NONE])], inside] }), {
      build,
      lanes: 2,
    });
    const { value: pid, fds } = await stage.until('cloned');
    await stage.until('call');
    const own = (name: string) => readlinkSync(`/proc/${pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`);
    expect(fds).toHaveLength(1);
    expect(['mnt', 'uts', 'ipc', 'pid', 'net', 'cgroup', 'user', 'time'].filter(own)).toEqual([
      'mnt',
      'uts',
      'ipc',
      'pid',
      'net',
      'cgroup',
    ]);
    stage.reply(0, REPLY.answer);
    expect(await stage.ended()).toBe(0);
  });

  it('a post carries a descriptor of a namespace that is gone from the file system', async () => {
    const outside = [
      step('clone', [1, CLONE.newuts, NONE], { out: [0, 1] }),
      step('wait', [1, 7], { out: [2] }),
      step('setns', [2, CLONE.newuts]),
      step('wait', [1, 8], { out: [3] }),
      shell('hostname', { guardUnless: 3 }),
    ];
    const inside = [
      step('sethostname', ['by-post']),
      step('openat2', [CWD, '/proc/self/ns/uts', O.rdonly, 0, 0], { out: [4] }),
      step('post', [0, 7, 4]),
      step('post', [0, 8, NONE]),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, inside] }), { build, lanes: 2 });
    expect(await stage.ended()).toBe(0);
    expect(stage.output).toBe('by-post\n');
  });

  it('a bridge unshares the time namespace, and the container that it clones is stage’s own child', async () => {
    const outside = [
      step('clone', [1, 0, NONE], { out: [0, 1] }),
      step('wait', [1, 5], { out: [2] }),
      step('call', ['look', 2], { out: [3] }),
      step('post', [2, 6, NONE]),
      step('wait', [2, 9]),
      step('exit', [4]),
    ];
    const bridge = [
      step('unshare', [CLONE.newtime]),
      step('clone', [2, CLONE.parent | CLONE.newpid, NONE], { out: [4, 5] }),
      step('post', [0, 5, 5]),
    ];
    const inside = [step('wait', [0, 6]), step('post', [0, 9, NONE])];
    await using stage = new Stage(planBytes({ lanes: [outside, bridge, inside] }), { build, lanes: 3 });
    const cloned = await stage.until('cloned', 1);
    const call = await stage.until('call');
    const status = readFileSync(`/proc/${cloned.value}/status`, 'utf8');
    expect(status).toMatch(new RegExp(`^PPid:\\t${stage.pid}$`, 'm'));
    expect(status).toMatch(new RegExp(`^NSpid:\\t${cloned.value}\\t1$`, 'm'));
    expect(pidOf(call.fds[0])).toBe(cloned.value);
    expect(readlinkSync(`/proc/${cloned.value}/ns/time`)).not.toBe(readlinkSync('/proc/self/ns/time'));
    stage.reply(0, REPLY.answer);
    expect(await stage.ended()).toBe(4);
  });

  it('wait fails with ECANCELED when the other lane ends, or was not started', async () => {
    const inside = [step('exit', [3])];
    const dies = [step('clone', [1, 0, NONE], { out: [0, 1] }), step('wait', [1, 1])];
    await using stage = new Stage(planBytes({ lanes: [dies, inside] }), { build, lanes: 2 });
    expect(await stage.failure()).toEqual({ lane: 0, step: 1, error: ECANCELED, name: '' });
    expect(await stage.ended()).toBe(125);

    const never = [step('clone', [1, 0, NONE], { out: [0, 1], guardIf: 5 }), step('wait', [1, 1])];
    await using other = new Stage(planBytes({ lanes: [never, inside] }), { build, lanes: 2 });
    expect(await other.failure()).toMatchObject({ error: ECANCELED });
  });

  it('wait fails with EPROTO on another token', async () => {
    const outside = [step('clone', [1, 0, NONE]), step('post', [1, 1, NONE]), step('wait', [1, 1])];
    await using stage = new Stage(planBytes({ lanes: [outside, [step('wait', [0, 2])]] }), { build, lanes: 2 });
    expect(await stage.failure()).toMatchObject({ lane: 1, step: 0, error: EPROTO });
  });

  it('a lane that fails takes all lanes with it, also one that its bridge cloned', async () => {
    const outside = [
      step('clone', [1, 0, NONE]),
      step('wait', [1, 1]),
      step('chdir', ['/no such folder']),
      step('exit', [0]),
    ];
    const bridge = [
      step('clone', [2, CLONE.parent | CLONE.newpid, NONE]),
      step('post', [0, 1, NONE]),
      step('call', ['never', NONE]),
    ];
    const inside = [shell('sleep 1000')];
    await using stage = new Stage(planBytes({ lanes: [outside, bridge, inside] }), { build, lanes: 3 });
    expect(await stage.failure()).toEqual({ lane: 0, step: 2, error: ENOENT, name: '' });
    expect(await stage.ended()).toBe(125);
    const clones = stage.reports.filter((report) => report.type === 'cloned');
    expect(clones.map((report) => existsSync(`/proc/${report.value}`))).toEqual([false, false]);
  });

  it('REPLY_ABORT and TypeScript’s leaving end all of it, whatever lane 0 waits for', async () => {
    for (const end of ['abort', 'leave'] as const) {
      const outside = [step('clone', [1, CLONE.newpid, NONE], { out: [0, 1] }), step('wait', [1, 1])];
      const inside = [step('call', ['never', NONE])];
      await using stage = new Stage(planBytes({ lanes: [outside, inside] }), { build, lanes: 2 });
      const { value: pid } = await stage.until('cloned');
      await stage.until('call');
      if (end === 'abort') stage.reply(0, REPLY.abort);
      else stage.hangUp();
      expect(await stage.ended()).toBe(125);
      expect(existsSync(`/proc/${pid}`)).toBe(false);
    }
  });

  it('a container dies with stage, also after it has changed its credentials', async () => {
    const outside = [step('clone', [1, CLONE.newpid, NONE], { out: [0, 1] }), step('supervise', [0, NONE, NONE])];
    const inside = [
      step('setgroups', [new Uint8Array(0)]),
      step('setresgid', [65534, 65534, 65534]),
      step('setresuid', [65534, 65534, 65534]),
      shell('echo ready; sleep 1000'),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, inside] }), { build, lanes: 2 });
    const { value: pid } = await stage.until('cloned');
    await stage.until('supervising');
    await until(() => stage.output === 'ready\n');
    stage.signal(9);
    expect(await stage.ended()).toBe(137);
    await until(() => hasEnded(pid));
  });

  it('a child whose plan clears the death signal outlives stage', async () => {
    const outside = [step('clone', [1, 0, NONE], { out: [0, 1] }), step('wait', [1, 1]), step('exit', [0])];
    const inside = [step('prctl', [PR.setPdeathsig, 0, 0, 0, 0]), step('post', [0, 1, NONE]), shell('exec sleep 1000')];
    await using stage = new Stage(planBytes({ lanes: [outside, inside] }), { build, lanes: 2 });
    const { value: pid } = await stage.until('cloned');
    expect(await stage.ended()).toBe(0);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  it('the child is non-dumpable until exec, except with a user namespace', async () => {
    for (const [flags, inside, owner] of [
      [0, [], 0],
      [CLONE.newuser, [], NOBODY],
      [CLONE.newuser, [step('prctl', [PR.setDumpable, 0, 0, 0, 0])], 0],
    ] as const) {
      const outside = [step('clone', [1, flags, NONE], { out: [0, 1] }), step('wait', [1, 1])];
      const lanes = [outside, [...inside, step('call', ['look', NONE]), step('post', [0, 1, NONE])]];
      await using stage = new Stage(planBytes({ lanes }), { build, lanes: 2, uid: NOBODY });
      const { value: pid } = await stage.until('cloned');
      await stage.until('call');
      // proc(5): the files of a process that is not dumpable belong to root.
      expect(statSync(`/proc/${pid}/environ`).uid).toBe(owner);
      stage.reply(1, REPLY.answer);
      expect(await stage.ended()).toBe(0);
    }
  });

  it('an unprivileged user becomes root of a user namespace', async () => {
    const map = (file: string, text: string) => [
      step('open_proc', [0, file, O.wronly], { out: [2] }),
      step('write', [2, Buffer.from(text)]),
      step('close', [2]),
    ];
    const outside = [
      step('clone', [1, CLONE.newuser | CLONE.newuts, NONE], { out: [0, 1] }),
      ...map('setgroups', 'deny'),
      ...map('uid_map', `0 ${NOBODY} 1\n`),
      ...map('gid_map', `0 ${NOBODY} 1\n`),
      step('post', [1, 1, NONE]),
      step('supervise', [0, NONE, NONE]),
    ];
    const inside = [
      step('wait', [0, 1]),
      step('prctl', [PR.setDumpable, 0, 0, 0, 0]),
      step('setresuid', [0, 0, 0]),
      step('sethostname', ['rootless']),
      shell('id -u; hostname'),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, inside] }), { build, lanes: 2, uid: NOBODY });
    expect(await stage.ended()).toBe(0);
    expect(stage.output).toBe('0\nrootless\n');
  });

  it('clone into a cgroup that is none fails with its errno, and the plan says what to do', async () => {
    const outside = [
      step('openat2', [CWD, '/', O.path | O.directory, 0, 0], { out: [0] }),
      step('clone', [1, 0, 0], { out: [1, 2] }),
    ];
    await using stage = new Stage(planBytes({ lanes: [outside, [step('exit', [0])]] }), { build, lanes: 2 });
    expect(await stage.failure()).toMatchObject({ step: 1, error: constants.errno.EBADF, name: 'clone3' });
  });
});

/** The pid that a pidfd stands for. */
function pidOf(pidfd: number | undefined): number {
  return Number(/^Pid:\t(-?\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, 'utf8'))?.[1]);
}
