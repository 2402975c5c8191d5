/** Namespaces of a real container, by the inodes of /proc/PID/ns: new, inherited, joined by path. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../harness/until.js';
import { hasEnded } from '../stage/stage.js';
import { dropNamespace, LINKS, namespaceOf, runBundle, setNamespace, type Type } from './bundle.js';
import { execIn, expectOwn, expectSame, joining, ofHost, path, status, TYPES, withUsers } from './joined.js';

describe('a namespace joined by path', () => {
  it.each(['network', 'ipc', 'uts', 'cgroup', 'pid', 'time'] as const)(
    '%s is that of the other container',
    async (type) => {
      await using first = await runBundle((config) => setNamespace(config, type));
      await using second = await runBundle(joining(first, [type]));
      expectSame(second, first, [type]);
      expectOwn(first, second, []);
      expect(first.ns(type)).not.toBe(ofHost(type));
      expectOwn(
        second,
        first,
        TYPES.filter((other) => !['user', 'time', type].includes(other)),
      );
    },
  );

  it('all at once, but for the mounts, is a pod', async () => {
    const types: Type[] = ['network', 'ipc', 'uts', 'cgroup', 'pid', 'time'];
    await using first = await runBundle((config) => setNamespace(config, 'time'));
    await using second = await runBundle(joining(first, types));
    expectSame(second, first, types);
    expectOwn(second, first, ['mount']);
    expect(
      (await execIn(second, 'for n in net pid time mnt; do readlink /proc/self/ns/$n; done')).trim().split('\n'),
    ).toEqual((['network', 'pid', 'time', 'mount'] as const).map((type) => second.ns(type)));
    // Its proc is that of the pid namespace that it joined.
    expect(readFileSync(`/proc/${second.pid}/root/proc/1/comm`, 'utf8').trim()).toBe('sleep');
    expect(status(second.pid, 'NSpid')?.split(/\s+/)).toHaveLength(2);
  });
});

describe('a pid namespace that is joined', () => {
  it('and has lost its first process takes no other, which is said', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tare-pidns-'));
    const file = join(folder, 'pid');
    writeFileSync(file, '');
    try {
      execFileSync('unshare', [`--pid=${file}`, '--fork', 'true']);
      const joining = runBundle((config) => setNamespace(config, 'pid', file));
      await expect(joining).rejects.toThrow(/ENOMEM.*the pid namespace has lost its first process/);
    } finally {
      execFileSync('umount', [file]);
      rmSync(folder, { recursive: true });
    }
  });

  it('loses all processes of the container when that is deleted, and no other', async () => {
    const script = 'sleep 998 & sleep 998 & exec sleep 997';
    await using first = await runBundle(() => undefined);
    let others: number[] = [];
    {
      await using second = await runBundle((config) => {
        joining(first, ['pid'])(config);
        config.process.args = ['sh', '-c', script];
      });
      const children = () => readFileSync(`/proc/${second.pid}/task/${second.pid}/children`, 'utf8').trim().split(' ');
      await until(() => children().length === 2);
      others = children().map(Number);
      expect(others.map(hasEnded)).toEqual([false, false]);
    }
    expect(others.map(hasEnded)).toEqual([true, true]);
    expect(hasEnded(first.pid)).toBe(false);
  });
});

describe('a path that leads to no namespace of its kind', () => {
  it.each([
    [
      'another kind',
      '/proc/self/ns/net',
      'linux.namespaces[5].path must lead to a namespace of type ipc, which /proc/self/ns/net is not',
    ],
    ['no namespace', '/etc/passwd', 'must lead to a namespace of type ipc, which /etc/passwd is not'],
    ['nothing', '/proc/self/ns/none', 'linux.namespaces[5].path: /proc/self/ns/none does not exist'],
  ])('is refused before anything is made: %s', async (_, file, sentence) => {
    await expect(runBundle((config) => setNamespace(config, 'ipc', file))).rejects.toThrow(sentence);
  });

  it('is inherited where it is the caller’s own', async () => {
    await using one = await runBundle((config) => {
      for (const type of ['network', 'ipc', 'user', 'pid', 'time'] as const)
        setNamespace(config, type, `/proc/self/ns/${LINKS[type]}`);
    });
    for (const type of ['network', 'ipc', 'user', 'pid', 'time'] as const) expect(one.ns(type)).toBe(ofHost(type));
    const renamed = runBundle((config) => {
      setNamespace(config, 'uts', '/proc/self/ns/uts');
      config.hostname = 'mine';
    });
    await expect(renamed).rejects.toThrow(/would change the host/);
  });
});

describe('the mount namespace', () => {
  it('of the runtime is inherited where none is named, and all mounts go with the container', async () => {
    {
      await using one = await runBundle((config) => {
        dropNamespace(config, 'mount');
        config.process.args = ['sh', '-c', 'cat /proc/1/comm; ls /; exec sleep 1000'];
      });
      await until(() => one.output().includes('var'));
      expect(one.ns('mount')).toBe(ofHost('mount'));
      expect(one.output()).toMatch(/^sh\nbin\ndev\n/);
      const here = new RegExp(` ${one.folder}/rootfs/`);
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toMatch(here);
      expect(readlinkSync(`/proc/${one.pid}/root`)).toBe(`${one.folder}/state/.roots/${one.container.id}`);
      expect(await execIn(one, 'readlink /proc/self/ns/pid; ls -d /bin')).toMatch(/^pid:\[\d+\]\n\/bin\n/);
    }
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`.roots/bundle-${process.pid}-`);
  });

  it('of the runtime leaves nothing behind when the creation fails', async () => {
    const failing = runBundle((config) => {
      dropNamespace(config, 'mount');
      config.process.args = ['/no/such/program'];
    });
    await expect(failing).rejects.toThrow('/no/such/program');
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`.roots/bundle-${process.pid}-`);
  });

  it('that is joined by path gets the container’s root as its own', async () => {
    const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', 'echo ready; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      const pid = holder.pid as number;
      await using one = await runBundle((config) => setNamespace(config, 'mount', path(pid, 'mount')));
      expect(one.ns('mount')).toBe(namespaceOf(pid, 'mount'));
      expect(one.ns('mount')).not.toBe(ofHost('mount'));
      expect(readlinkSync(`/proc/${one.pid}/root`)).toBe('/');
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('of the runtime cannot be had with another user namespace', async () => {
    const refused = runBundle((config) => {
      dropNamespace(config, 'mount');
      withUsers(config);
    });
    await expect(refused).rejects.toThrow('has a user namespace and no mount namespace');
  });
});
