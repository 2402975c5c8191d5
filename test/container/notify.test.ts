/** The seccomp agent: what it is sent, and which profiles could not be handed to it. */
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compileFilter } from '../../runtime/container/filter.js';
import { sendListener } from '../../runtime/container/notify.js';
import { NEW_LISTENER } from '../../runtime/kernel/seccomp/index.js';
import { containerId, OCI_VERSION, type OciState } from '../../runtime/oci/index.js';
import { listenStream } from '../harness/stream-listener.js';

const folder = mkdtempSync(join(tmpdir(), 'tare-notify-'));
afterAll(() => rmSync(folder, { recursive: true }));

const state: OciState = {
  ociVersion: OCI_VERSION,
  id: containerId('c1'),
  status: 'created',
  pid: 7,
  bundle: '/b',
  annotations: { a: 'b' },
};

describe('the message to the agent', () => {
  it('is the state of the process, and the listener', async () => {
    const agent = await listenStream(join(folder, 'agent'));
    const listener = openSync('/proc/self/status', 'r');
    try {
      const arrived = agent.next();
      sendListener({ state, pid: 9, seccomp: { listenerPath: agent.path, listenerMetadata: 'who' } }, listener);
      const { data, fds } = await arrived;
      expect(JSON.parse(data.toString())).toEqual({
        ociVersion: OCI_VERSION,
        fds: ['seccompFd'],
        pid: 9,
        metadata: 'who',
        state,
      });
      expect(fds.map((fd) => fstatSync(fd).ino)).toEqual([fstatSync(listener).ino]);
      for (const fd of fds) closeSync(fd);
    } finally {
      closeSync(listener);
      await agent.close();
    }
  });

  it.each([
    [undefined, 'linux.seccomp.listenerPath is missing'],
    [
      '/nowhere/agent',
      'failed to connect with seccomp agent (linux.seccomp.listenerPath): connect("/nowhere/agent"): ENOENT',
    ],
    [
      '@abstract',
      'failed to connect with seccomp agent (linux.seccomp.listenerPath): connect("@abstract"): ECONNREFUSED',
    ],
  ])('to %s cannot be sent', (listenerPath, sentence) => {
    expect(() => sendListener({ state, pid: 9, seccomp: { ...(listenerPath && { listenerPath }) } }, 0)).toThrow(
      sentence,
    );
  });
});

describe('a profile that asks an agent', () => {
  const asks = (...names: string[]) => ({ names, action: 'SCMP_ACT_NOTIFY' });
  const allows = { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/agent' };

  it('may ask about all but the calls by which its listener is handed over', () => {
    const important = ['execve', 'openat', 'open', 'read', 'close', 'fcntl', 'mkdir'];
    const filter = compileFilter({ ...allows, syscalls: [asks(...important)] });
    expect((filter?.flags ?? 0) & NEW_LISTENER).toBe(NEW_LISTENER);
  });

  it.each([
    ['write', 'linux.seccomp.syscalls[1].names', 'SCMP_ACT_NOTIFY cannot be used for the write syscall'],
    [
      'sendmsg',
      'linux.seccomp',
      'must allow sendmsg(2), by which its listener is handed to the agent; it says: ask the listener',
    ],
    ['recvmsg', 'linux.seccomp', 'must allow recvmsg(2)'],
  ])('about %s is refused', (name, path, sentence) => {
    const profile = { ...allows, syscalls: [asks('mkdir'), asks(name)] };
    expect(() => compileFilter(profile)).toThrow(
      expect.objectContaining({ code: 'config', path, message: expect.stringContaining(sentence) }),
    );
  });

  it('and forbids to hand it over is refused', () => {
    const profile = { ...allows, defaultAction: 'SCMP_ACT_ERRNO', syscalls: [asks('mkdir')] };
    expect(() => compileFilter(profile)).toThrow('it says: errno EPERM');
  });

  it('and one that asks nobody may do as it likes', () => {
    const forbids = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['execve'], action: 'SCMP_ACT_ALLOW' }] };
    expect(compileFilter(forbids)?.flags).toBe(4);
  });
});
