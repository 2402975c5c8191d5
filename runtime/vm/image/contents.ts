/**
 * What a learner's machine holds. The Debian packages are the *base* layer: built once, rebuilt only when this list (or
 * the release) changes. Everything of Tare's own is the second layer, which is cheap to rebuild.
 */

/** Debian packages of the base layer, on top of `minbase`. */
export const PACKAGES = [
  // what containers are made with and looked at with
  ...['util-linux', 'mount', 'iproute2', 'nftables', 'libcap2-bin', 'strace', 'procps', 'psmisc', 'kmod', 'uidmap'],
  ...['busybox-static', 'gcc', 'libc6-dev', 'libstdc++6', 'libatomic1'],
  // manual pages, an editor, and what makes a shell pleasant
  ...['man-db', 'manpages', 'manpages-dev', 'nano', 'vim-tiny', 'less', 'bash-completion', 'tree', 'file'],
  ...['iputils-ping', 'netcat-openbsd', 'ncurses-term'],
] as const;

/** Debian's kernel for virtual machines: small, and with all that containers need. */
export const KERNEL_PACKAGE = 'linux-image-cloud-amd64';

/** Modules of the initramfs, in the order in which they must be loaded; the rest is loaded on demand from the base layer. */
export const BOOT_MODULES = [
  ...['virtio_ring', 'virtio', 'virtio_mmio', 'virtio_blk', 'virtio_console'],
  ...['squashfs', 'overlay'],
] as const;

/** Dependencies of package.json that only the lab's server needs: they stay out of the machine. */
export const SERVER_ONLY = ['express', 'markdown-it', 'ws'] as const;

/** Small files of the machine: path to text, mode 0644. */
export const FILES: Readonly<Record<string, string>> = {
  // Run once by the agent, before the machine is ready. Tare's data lies on an ext4 in RAM: the machine's own root is an overlay, which can
  // neither lie below another one nor have its owners mapped, and its kernel (6.1) maps those of a tmpfs neither.
  'etc/tare/boot': [
    'mkdir -p /var/lib/tare',
    'modprobe loop',
    'mount -t tmpfs -o size=192m,mode=700 tmpfs /var/lib/tare',
    'truncate -s 190M /var/lib/tare/disk',
    'mkfs.ext4 -q -m 0 -O ^has_journal /var/lib/tare/disk',
    'device=$(losetup --find --show /var/lib/tare/disk)',
    '# The loop device alone keeps the file from here on.',
    'umount --lazy /var/lib/tare',
    '# Without zeroing the tables of inodes in the background, which would take RAM.',
    'mount -o noinit_itable "$device" /var/lib/tare',
    'rmdir /var/lib/tare/lost+found && chmod 700 /var/lib/tare',
    '',
  ].join('\n'),
  'etc/hostname': 'lab\n',
  'etc/hosts': '127.0.0.1 localhost\n127.0.1.1 lab\n::1 localhost\n',
  'etc/resolv.conf': '# This machine has no network beyond itself.\n',
  // Debian's own asks id(1) twice who it is: 0.2 s of an emulated processor between opening a terminal and its prompt.
  'etc/profile': [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH',
    'for file in /etc/profile.d/*.sh; do [ -r "$file" ] && . "$file"; done; unset file',
    '',
  ].join('\n'),
  'etc/profile.d/tare.sh': 'export PAGER=less LESS=-R EDITOR=nano\n',
  // Completion is 2,000 lines of shell, which an emulated processor takes 0.2 s to read: it is loaded by the first Tab (see .bashrc).
  'etc/profile.d/bash_completion.sh': '# Loaded by ~/.bashrc when it is first needed.\n',
  'root/.profile': '[ -n "$BASH_VERSION" ] && [ -f ~/.bashrc ] && . ~/.bashrc\n',
  'root/.bashrc': [
    '# An interactive shell of the lab.',
    'case $- in *i*) ;; *) return ;; esac',
    'HISTCONTROL=ignoredups; HISTSIZE=5000; shopt -s histappend checkwinsize',
    '# The host name is read each time: bash asks once, and exercises change it.',
    "PROMPT_COMMAND='read -r lab_host < /proc/sys/kernel/hostname || lab_host=?'",
    "PS1='\\[\\e[1;32m\\]\\u@$lab_host\\[\\e[0m\\]:\\[\\e[1;34m\\]\\w\\[\\e[0m\\]\\$ '",
    "alias ls='ls --color=auto' ll='ls -l --color=auto' grep='grep --color=auto'",
    'load_completion() { complete -r -D; . /usr/share/bash-completion/bash_completion; return 124; }',
    'complete -D -F load_completion',
    '',
  ].join('\n'),
};

/** Symbolic links of the machine: path to target. */
export const LINKS: Readonly<Record<string, string>> = {
  'usr/local/bin/tare': '/opt/tare/dist/bin/tare',
  'usr/local/bin/tare-oci': '/opt/tare/dist/bin/tare-oci',
  'usr/local/sbin/poweroff': '/bin/busybox',
  'usr/local/sbin/reboot': '/bin/busybox',
  'usr/local/sbin/halt': '/bin/busybox',
};
