/** A filter that asks an agent: whom it tells, and what becomes of the container when nobody answers. seccomp_unotify(2). */
import { closeSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { inspectProcess, localProc } from '../../runtime/inspect/index.js';
import { makeBundle } from '../harness/bundle.js';
import { listenStream } from '../harness/stream-listener.js';
import { inWorld } from '../harness/world.js';
import { type Mutable, runBundle } from './bundle.js';

const folder = mkdtempSync(join(tmpdir(), 'tare-agent-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** mkdir(1) of the image asks the agent at `path`. */
function asking({ process, linux }: Mutable, path: string, noNewPrivileges: boolean): void {
  process.noNewPrivileges = noNewPrivileges;
  process.args = ['sh', '-c', 'mkdir /tmp/x; echo status $?; sleep 1000'];
  linux.seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    listenerPath: path,
    listenerMetadata: 'of the test',
    syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_NOTIFY' }],
  };
}

describe('a container whose filter asks an agent', () => {
  it.each([true, false])('tells it, with noNewPrivileges %s', async (noNewPrivileges) => {
    const agent = await listenStream(join(folder, `agent-${noNewPrivileges}`));
    try {
      const told = agent.next();
      await using running = await runBundle((config) => asking(config, agent.path, noNewPrivileges));
      const { data, fds } = await told;
      const { fds: names, pid, metadata, state } = JSON.parse(data.toString());
      expect({ names, pid, metadata }).toEqual({ names: ['seccompFd'], pid: running.pid, metadata: 'of the test' });
      expect(state).toMatchObject({ id: running.container.id, pid: running.pid, bundle: running.folder });
      expect(fds.map((fd) => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(['anon_inode:seccomp notify']);

      const facts = await inspectProcess(localProc(), running.pid);
      expect([facts.seccomp, facts.noNewPrivs]).toEqual([{ mode: 'filter', filters: 1 }, noNewPrivileges]);
      // The program has no listener: its streams are all it has.
      expect(facts.descriptors).toBe(3);

      // Whoever has no agent any more is answered by the kernel.
      expect(running.output()).toBe('');
      for (const fd of fds) closeSync(fd);
      await expect.poll(running.output).toContain('Function not implemented');
      await expect.poll(running.output).toContain('status 1');
    } finally {
      await agent.close();
    }
  });

  it('does not start where there is no agent', async () => {
    const started = runBundle((config) => asking(config, join(folder, 'nobody'), true));
    await expect(started).rejects.toThrow('failed to connect with seccomp agent');
  });
});

describe('tare-oci --debug', () => {
  it.each([
    [undefined, 4],
    [[], 0],
    [['SECCOMP_FILTER_FLAG_TSYNC'], 0],
    [['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'], 6],
  ])('tells the flags of the filter: %j', (flags, number) =>
    inWorld('debug', async (world) => {
      const seccomp = { defaultAction: 'SCMP_ACT_ALLOW', ...(flags && { flags }) };
      const { path } = makeBundle(world, 'grep Seccomp: /proc/self/status', { linux: { seccomp } });
      const ran = await world.run(['tare-oci', '--debug', 'run', '-b', path, 'debug']);
      expect(ran).toMatchObject({ status: 0, stdout: 'Seccomp:\t2\n' });
      expect(ran.stderr).toContain(` level=debug msg="seccomp filter flags: ${number}"\n`);
      expect(ran.stderr).toMatch(/ level=debug msg="inside: pivot_root\(/);
      const quiet = await world.run(['tare-oci', 'run', '-b', path, 'debug']);
      expect(quiet.stderr).toBe('');
    }),
  );
});
