/**
 * A systemd of a test's own: process 1 of new namespaces, with a cgroup of version 2 for its root, its own /run, and no units but
 * what it begins with. Commands are run beside it, as on a machine that systemd manages.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { detectCgroups, killCgroup, removeCgroups } from '../../runtime/kernel/cgroup/index.js';

const SYSTEMD = '/lib/systemd/systemd';

export interface Systemd {
  /** Of systemd itself, in our pid namespace. */
  readonly pid: number;
  /** A folder of this machine that commands see as well. */
  readonly folder: string;
  /** systemd's root cgroup, as this machine sees it. */
  readonly cgroup: string;
  run(argv: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }>;
  start(argv: readonly string[]): ChildProcessByStdio<null, Readable, Readable>;
}

/** Why there can be none here; undefined when there can. */
export function noSystemd(): string | undefined {
  if (!existsSync(SYSTEMD)) return `${SYSTEMD} is missing (Debian: systemd)`;
  if (!detectCgroups().hierarchies.some(({ version }) => version === 2))
    return 'this machine has no cgroups of version 2';
  return undefined;
}

export async function withSystemd(act: (systemd: Systemd) => Promise<void>): Promise<void> {
  const second = detectCgroups().hierarchies.find(({ version }) => version === 2);
  if (!second) throw new Error(noSystemd());
  const cgroup = join(second.mountPoint, `tare-systemd-${process.pid}-${randomBytes(4).toString('hex')}`);
  const folder = mkdtempSync(join(tmpdir(), 'tare-systemd-'));
  mkdirSync(cgroup);
  writeFileSync(join(folder, 'boot'), BOOT);
  const enter = `echo 0 > ${cgroup}/cgroup.procs; exec unshare -C -m -p -u -i -n -f --kill-child --mount-proc sh ${folder}/boot`;
  const keeper = spawn('sh', ['-c', enter], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const hear = (text: Buffer) => {
    said += text;
  };
  keeper.stdout.on('data', hear);
  keeper.stderr.on('data', hear);
  try {
    const children = `/proc/${keeper.pid}/task/${keeper.pid}/children`;
    let pid = 0;
    while (pid === 0 || !existsSync(`/proc/${pid}/root/run/systemd/private`)) {
      if (keeper.exitCode !== null) throw new Error(`systemd ended with ${keeper.exitCode}: ${said}`);
      await sleep(20);
      pid = Number(readFileSync(children, 'utf8').trim().split(' ')[0]);
    }
    // As the root of a machine, which may enable controllers and hold processes, cannot be had here, it holds none.
    writeFileSync(join(second.mountPoint, 'cgroup.procs'), String(keeper.pid));
    const start = (argv: readonly string[]) =>
      spawn('nsenter', ['-t', String(pid), '-m', '-p', '-n', '-C', '--', ...argv], {
        cwd: '/',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    await act({
      pid,
      folder,
      cgroup,
      start,
      run: async (argv) => {
        const child = start(argv);
        const stdout = heard(child.stdout);
        const stderr = heard(child.stderr);
        const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
        return { status, stdout: await stdout, stderr: await stderr };
      },
    });
  } finally {
    keeper.kill('SIGKILL');
    const places = [{ version: 2 as const, controllers: [], mountPoint: second.mountPoint, directory: cgroup }];
    await killCgroup(places, { waitMs: 30_000 });
    await removeCgroups(places, { waitMs: 30_000 });
    rmSync(folder, { recursive: true });
  }
}

async function heard(stream: Readable): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

const BOOT = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/lock
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
printf '[Unit]\\nDefaultDependencies=no\\n' > /run/systemd/system/tare.target
export container=tare
exec ${SYSTEMD} --system --unit=tare.target --log-target=console --show-status=no
`;
