/**
 * AppArmor, in a user-mode Linux: the kernel of this machine need not have it, Debian's has. A profile is loaded there, and the
 * container's program, and what exec starts, run under it.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { defaultConfig } from '../../runtime/container/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';

const LINUX = '/usr/bin/linux.uml';
const PARSER = '/usr/sbin/apparmor_parser';
const PROFILE = 'tare-test';
/** Everything but /etc/passwd. */
const POLICY = `abi <abi/3.0>,\nprofile ${PROFILE} { capability, file, network, signal, ptrace, mount, umount, deny /etc/passwd rw, }\n`;

/** The policy as the kernel takes it, and the bundle's parts. Returns the script of the machine's process 1. */
function prepare(folder: string): string {
  writeFileSync(join(folder, 'policy'), POLICY);
  const abi = '/etc/apparmor.d/abi/3.0';
  execFileSync(PARSER, ['-Q', '-K', '-o', join(folder, 'binary'), '-M', abi, join(folder, 'policy')]);
  const look = 'cat /proc/self/attr/current; cat /etc/passwd';
  const config = (name: string, apparmorProfile: string, args: readonly string[]) => {
    const base = defaultConfig({ rootfs: '/mnt/b/rootfs', args, caller: { uid: 0, gid: 0 } });
    const process = { ...base.process, apparmorProfile };
    writeFileSync(join(folder, name), JSON.stringify({ ...base, process }));
  };
  config('confined', PROFILE, ['sh', '-c', look]);
  config('waiting', PROFILE, ['sleep', '1000']);
  config('wrong', 'not-loaded', ['sh', '-c', look]);
  return `#!/bin/bash
export PATH=${join(packageRoot(), 'dist/bin')}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/mnt
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /mnt
mount -t securityfs securityfs /sys/kernel/security; mount -t cgroup2 cgroup2 /sys/fs/cgroup
cat ${folder}/binary > /sys/kernel/security/apparmor/.load
mkdir -p /mnt/b/rootfs/{bin,etc}; cp /etc/passwd /mnt/b/rootfs/etc; cp /bin/busybox /mnt/b/rootfs/bin
for name in sh cat sleep; do ln -s busybox /mnt/b/rootfs/bin/$name; done
oci() { tare-oci --root /mnt/state "$@" 2>&1; }
use() { cp ${folder}/$1 /mnt/b/config.json; echo "$1:"; }
use confined; oci run -b /mnt/b one; echo "status $?"
use wrong; oci run -b /mnt/b two; echo "status $?"
use waiting; oci run -d -b /mnt/b three < /dev/null > /dev/null; echo "status $?"
oci exec three sh -c '${look}'; echo "status $?"
oci exec --apparmor unconfined three cat /proc/self/attr/current; echo "status $?"
oci delete --force three; echo "status $?"
echo o > /proc/sysrq-trigger
sleep 9
`;
}

it('the program runs under its AppArmor profile, and so does what exec starts', async (ctx) => {
  if (!existsSync(LINUX)) ctx.skip('user-mode-linux is not installed');
  if (!existsSync(PARSER)) ctx.skip('apparmor is not installed');
  const folder = mkdtempSync(join(tmpdir(), 'tare-apparmor-'));
  try {
    writeFileSync(join(folder, 'init'), prepare(folder), { mode: 0o755 });
    const args = ['mem=700M', 'security=apparmor', 'rootfstype=hostfs', 'rootflags=/', `init=${join(folder, 'init')}`];
    const options = {
      timeout: 150_000,
      killSignal: 'SIGKILL' as const,
      env: { ...process.env, TMPDIR: folder, HOME: folder },
    };
    const { stdout } = await promisify(execFile)(LINUX, [...args, 'con=null', 'con0=null,fd:1', 'quiet'], options);
    const lines = stdout.split(/\r?\n/);
    const said = lines.slice(lines.indexOf('confined:'), lines.lastIndexOf('status 0') + 1);
    const denied = "cat: can't open '/etc/passwd': Permission denied";
    expect(said, stdout).toEqual([
      'confined:',
      ...[`${PROFILE} (enforce)`, denied, 'status 1'],
      'wrong:',
      expect.stringMatching(/write\(attr\/apparmor\/exec, "exec not-loaded"\): ENOENT \(process\.apparmorProfile/),
      'status 1',
      'waiting:',
      'status 0',
      ...[`${PROFILE} (enforce)`, denied, 'status 1'],
      ...['unconfined', 'status 0'],
      'status 0',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 180_000);
