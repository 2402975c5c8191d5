/** `container.exec`: another process in a container of the library, looked at from outside. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ExecOptions } from '../../runtime/container/exec.js';
import { changedProcess, type Exec, type ProcessChanges } from '../../runtime/container/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { type FeatureName, probeFeatures, withoutFeatures } from '../../runtime/kernel/features.js';
import { identityOf } from '../../runtime/kernel/process-identity.js';
import { noRootfs } from '../harness/rootfs.js';
import { dropNamespace, LINKS, mapUsers, namespaceOf, type Running, runBundle, type Type } from '../system/bundle.js';

const missing = process.geteuid?.() === 0 ? noRootfs() : 'a container without a user namespace needs root';

describe.skipIf(missing !== undefined)(`exec${missing === undefined ? '' : ` (${missing})`}`, () => {
  /** Runs a script in it to its end; returns what it wrote and its exit code. */
  async function sh(
    it: Running,
    script: string,
    changes: Partial<ProcessChanges> = {},
    options: Partial<ExecOptions> = {},
  ) {
    return run(it, { args: ['sh', '-c', script], ...changes }, options);
  }

  async function run(it: Running, changes: ProcessChanges, options: Partial<ExecOptions> = {}) {
    const path = join(it.folder, 'exec.out');
    const [input, output] = [openSync('/dev/null', 'r'), openSync(path, 'w')];
    try {
      const process = changedProcess(it.container.config, changes);
      const started = await it.container.exec({ process, stdio: [input, output, output], ...options });
      const { code } = await started.wait();
      return { code, text: readFileSync(path, 'utf8') };
    } finally {
      closeSync(input);
      closeSync(output);
    }
  }

  /** Starts one that lives on, and looks at it. */
  async function sleeping(
    it: Running,
    changes: Partial<ProcessChanges> = {},
    options: Partial<ExecOptions> = {},
  ): Promise<Exec> {
    const process = changedProcess(it.container.config, { args: ['sleep', '1000'], ...changes });
    return it.container.exec({ process, ...options });
  }

  const sameNamespaces = (it: Running, pid: number) => {
    for (const type of Object.keys(LINKS) as Type[])
      expect([type, namespaceOf(pid, type)]).toEqual([type, it.ns(type)]);
  };

  it('is in every namespace and every cgroup of the container, and in its root', async () => {
    await using it = await runBundle(() => undefined);
    const { pid } = await sleeping(it);
    sameNamespaces(it, pid);
    const cgroup = (of: number) => readFileSync(`/proc/${of}/cgroup`, 'utf8');
    expect(cgroup(pid)).toBe(cgroup(it.pid));
    expect(it.container.processes()).toEqual([it.pid, pid].sort((a, b) => a - b));
    expect((await sh(it, 'ls -di / /proc/1/root/ | cut -d" " -f1 | uniq | wc -l; echo $$')).text).toMatch(/^1\n\d+\n$/);
  });

  it('is user 0 of the user namespace of the container, with rights in there only', async () => {
    await using it = await runBundle((config) => {
      config.linux.namespaces?.push({ type: 'user' });
      mapUsers(config, 300_000);
    });
    const { pid } = await sleeping(it);
    sameNamespaces(it, pid);
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\t300000\t300000\t300000\t300000$/m);
    const { text } = await sh(it, 'id -u; cat /proc/self/uid_map | tr -s " "; touch /made && stat -c %u /made');
    expect(text.split('\n').map((line) => line.trim())).toEqual(['0', '0 300000 1000', '0', '']);
  });

  it('joins what differs only: namespaces that the container shares with the runtime are left alone', async () => {
    await using it = await runBundle((config) => {
      for (const type of ['network', 'ipc', 'pid'] as const) dropNamespace(config, type);
    });
    const { pid } = await sleeping(it);
    sameNamespaces(it, pid);
    expect(namespaceOf(pid, 'network')).toBe(namespaceOf('self', 'network'));
  });

  it('has what the process says, and of the container what it does not say', async () => {
    await using it = await runBundle((config) => {
      config.process.rlimits = [{ type: 'RLIMIT_CORE', soft: 11, hard: 22 }];
      config.process.oomScoreAdj = 321;
      config.process.user.umask = 0o27;
    });
    const process = {
      cwd: '/tmp',
      args: ['sleep', '1000'],
      env: ['X=y'],
      user: { uid: 12, gid: 34, additionalGids: [56] },
    };
    const { pid } = await it.container.exec({ process });
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t12\t12\t12\t12$/m);
    expect(status).toMatch(/^Gid:\t34\t34\t34\t34$/m);
    expect(status).toMatch(/^Groups:\t56 $/m);
    expect(status).toMatch(/^CapInh:\t0+$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
    expect(status).toMatch(/^Umask:\t0022$/m);
    expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +11 +22/m);
    expect(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8')).toBe('321\n');
    const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(env).toEqual(['X=y', 'HOME=/', '']);
  });

  it('has the home and the groups that the container knows a user by', async () => {
    await using it = await runBundle((config) => {
      config.process.env = ['PATH=/bin'];
    });
    const rootfs = join(it.folder, 'rootfs');
    writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0::/root:\nweb:x:33:34::/srv/web:\n');
    writeFileSync(join(rootfs, 'etc/group'), 'www:x:34:\nlog:x:35:web,other\nnone:x:36:other\n');
    const as = (user: string) => sh(it, 'id -u; id -g; id -G; echo $HOME', { user: it.container.parseUser(user) });
    expect((await as('web')).text).toBe('33\n34\n34 35\n/srv/web\n');
    expect((await as('web:log')).text).toBe('33\n35\n35\n/srv/web\n');
    expect((await as('7:8')).text).toBe('7\n8\n8\n/\n');
    for (const wrong of ['nobody', 'web:nogroup', '-1', '4294967296', '4294967295', '1:2:3', ':1', ''])
      expect(() => it.container.parseUser(wrong), wrong).toThrow(/user|group/);
  });

  it('tells how it ended, and passes signals on', async () => {
    await using it = await runBundle(() => undefined);
    expect(await sh(it, 'echo out; echo err >&2; exit 7')).toEqual({ code: 7, text: 'out\nerr\n' });
    const started = await sleeping(it);
    started.kill(15);
    expect(await started.wait()).toEqual({ code: 143, signal: 15 });
    expect(() => started.kill(9)).toThrow(expect.objectContaining({ code: 'state' }));
  });

  it('says that a program is not there, or is none, and leaves nothing', async () => {
    await using it = await runBundle(() => undefined);
    await expect(run(it, { args: ['nosuch'] })).rejects.toMatchObject({ code: 'command-not-found', exitCode: 127 });
    await expect(run(it, { args: ['/etc/passwd'] })).rejects.toMatchObject({ code: 'command-not-executable' });
    await expect(run(it, { args: ['true'], cwd: '/nosuch' })).rejects.toMatchObject({ path: 'process.cwd' });
    const lost = { process: changedProcess(it.container.config, { args: ['nosuch'] }), supervisor: 'caller' as const };
    await expect(it.container.exec(lost)).rejects.toMatchObject({ code: 'command-not-found' });
    expect(it.container.processes()).toEqual([it.pid]);
  });

  it('left to the caller, it outlives stage', async () => {
    await using it = await runBundle(() => undefined);
    const processes = new Map<string, number>();
    const { pid } = await sleeping(
      it,
      {},
      { supervisor: 'caller', onProcess: (lane, one) => void processes.set(lane, one) },
    );
    expect([...processes.keys()].sort()).toEqual(['bridge', 'inside', 'outside']);
    expect(identityOf(processes.get('outside') ?? 0)).toBeUndefined();
    expect(existsSync(`/proc/${processes.get('bridge')}`), 'not even its zombie').toBe(false);
    expect(identityOf(pid)).toBeDefined();
    expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain('(sleep)');
  });

  it('is refused in a paused container, or waits in it', async () => {
    await using it = await runBundle(() => undefined);
    await it.container.pause();
    await expect(sh(it, 'true')).rejects.toMatchObject({ code: 'state', message: expect.stringContaining('paused') });
    const marker = join(it.folder, 'rootfs/ran');
    const waiting = sh(it, 'echo > /ran', {}, { ignorePaused: true });
    expect(existsSync(marker)).toBe(false);
    await it.container.resume();
    expect((await waiting).code).toBe(0);
    expect(existsSync(marker)).toBe(true);
  });

  it('is refused in a container that has ended', async () => {
    await using it = await runBundle(() => undefined);
    it.container.kill(9);
    await it.container.wait();
    await expect(sh(it, 'true')).rejects.toThrow('cannot exec in a stopped container');
  });

  it.each([[['setnsByPidfd']], [['cloneIntoCgroup']], [['setnsByPidfd', 'cloneIntoCgroup', 'mountSetattr']]] as [
    FeatureName[],
  ][])('is the same on a kernel without %s', async (names) => {
    await using it = await runBundle((config) => {
      config.linux.namespaces?.push({ type: 'user' });
      mapUsers(config, 300_000);
    });
    const { pid } = await sleeping(it, {}, { features: withoutFeatures(probeFeatures(), ...names) });
    sameNamespaces(it, pid);
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toBe(readFileSync(`/proc/${it.pid}/cgroup`, 'utf8'));
  });

  it('has a terminal of the container’s devpts, whatever lies at its name', async () => {
    await using it = await runBundle(() => undefined);
    const started = await it.container.exec({
      process: changedProcess(it.container.config, {
        args: ['sh', '-c', 'tty; stty size; id -u; stat -c %u $(tty); read x; echo got $x'],
        user: { uid: 5, gid: 5 },
        terminal: true,
        consoleSize: { width: 91, height: 23 },
      }),
    });
    const master = started.console as number;
    try {
      writeFileSync(master, 'hello\n');
      const text = await until(master, /got hello/);
      // What is typed is echoed, at any time.
      expect(text.replace(/\r|^hello\r?\n/gm, '')).toMatch(/^\/dev\/pts\/\d+\n23 91\n5\n5\ngot hello\n/);
      expect(await started.wait()).toEqual({ code: 0 });
    } finally {
      native.close(master);
    }
    const fifo = `rm -rf /tmp/dev; mkdir /tmp/dev; mknod /tmp/dev/ptmx p; mount -o bind /tmp/dev /dev/pts`;
    execFileSync('nsenter', ['-t', String(it.pid), '-m', '-r', '-w', 'sh', '-c', fifo]);
    const terminal = it.container.exec({
      process: changedProcess(it.container.config, { args: ['true'], terminal: true }),
    });
    await expect(terminal).rejects.toMatchObject({ path: 'process.terminal', syscall: { errno: 'EMEDIUMTYPE' } });
  });

  it('is bound to processors while it is set up, and when it runs', async () => {
    await using it = await runBundle((config) => {
      config.process.execCPUAffinity = { initial: '0', final: '1' };
    });
    const { text } = await sh(it, 'grep Cpus_allowed_list /proc/self/status');
    expect(text).toBe('Cpus_allowed_list:\t1\n');
  });

  it('joins a cgroup below the container’s, and follows the first process where it must', async (context) => {
    await using it = await runBundle((config) => {
      config.linux.resources = { pids: { limit: 50 } };
    });
    const own = /^\d+:pids:(.*)$/m.exec(readFileSync(`/proc/${it.pid}/cgroup`, 'utf8'))?.[1];
    const directory = `/sys/fs/cgroup/pids${own}/below`;
    if (own === undefined || !existsSync('/sys/fs/cgroup/pids'))
      return context.skip('needs the pids controller of version 1');
    mkdirSync(directory);
    const { pid } = await sleeping(it, {}, { cgroup: 'pids:below' });
    expect(readFileSync(join(directory, 'cgroup.procs'), 'utf8')).toBe(`${pid}\n`);
    await expect(sleeping(it, {}, { cgroup: 'pids:nothere' })).rejects.toMatchObject({ code: 'not-found' });
  });
});

/** What comes from a terminal, as soon as it has this in it. */
function until(fd: number, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const watcher = native.watch(fd, 1, () => {
      try {
        text += readOnce(fd);
      } catch (error) {
        watcher.close();
        reject(error);
        return;
      }
      if (!wanted.test(text)) return;
      watcher.close();
      resolve(text);
    });
  });
}

function readOnce(fd: number): string {
  const buffer = Buffer.alloc(4096);
  return buffer.toString('utf8', 0, readSync(fd, buffer));
}
