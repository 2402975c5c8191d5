/** A root file system for tests: the static busybox of Debian's busybox-static, with its names as links. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BUSYBOX = '/bin/busybox';

/** Why there can be no root file system here, or undefined. */
export function noRootfs(): string | undefined {
  return existsSync(BUSYBOX) ? undefined : `${BUSYBOX} is missing (Debian: busybox-static)`;
}

const NAMES = (
  'sh ash cat echo ls id env pwd true false sleep kill ps mount umount hostname grep sed head tail tr wc cut ' +
  'ip ifconfig readlink stat test touch mkdir rm ln stty tty mknod chmod nc dd yes sort find which seq xargs uname printf'
).split(' ');

/** Makes one in `folder`, which need not exist. */
export function makeRootfs(folder: string): string {
  for (const part of ['bin', 'etc', 'root', 'tmp', 'usr/bin', 'var'])
    mkdirSync(join(folder, part), { recursive: true });
  copyFileSync(BUSYBOX, join(folder, 'bin/busybox'));
  chmodSync(join(folder, 'bin/busybox'), 0o755);
  for (const name of NAMES) symlinkSync('busybox', join(folder, 'bin', name));
  writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  return folder;
}

/** One in a temporary folder of its own, with the function that removes it. */
export function temporaryRootfs(): { readonly rootfs: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'tare-rootfs-'));
  chmodSync(folder, 0o755);
  return { rootfs: makeRootfs(join(folder, 'rootfs')), remove: () => rmSync(folder, { recursive: true, force: true }) };
}
