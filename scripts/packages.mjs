// The Debian packages that Tare needs, and for what. scripts/setup.mjs installs those that are missing.

/** To build the native code and to run the lab. */
export const RUN_PACKAGES = [
  ['g++', 'compiles the addon'],
  ['make', 'builds the native code'],
  ['python3', 'runs node-gyp, which compiles better-sqlite3'],
  ['musl-tools', 'builds stage, init and agent as small static programs'],
  ['linux-libc-dev', 'headers of the kernel'],
  ['libuv1-dev', 'uv_poll, with which the addon watches descriptors'],
  ['libzstd-dev', 'unpacks and packs zstd layers, linked into the addon'],
  ['qemu-system-x86', 'runs the virtual machines'],
  ['mmdebstrap', 'makes the root file system of the machines'],
  ['squashfs-tools', 'packs it'],
  ['lz4', 'unpacks the kernel'],
  ['debian-archive-keyring', 'checks what mmdebstrap downloads'],
  ['busybox-static', 'a root file system to try containers with'],
];

/** What the tests compare with and look through, on top of the above. */
export const TEST_PACKAGES = [
  ['chromium', 'opens the lab in the browser tests'],
  ['fonts-dejavu-core', 'letters for it'],
  ['runc', 'the runtime to compare with'],
  ['umoci', 'writes OCI bundles'],
  ['crun', 'another runtime to compare with, in a virtual machine'],
  ['bubblewrap', 'the sandbox to compare with'],
  ['clang', 'builds the fuzzers'],
  ['libclang-rt-14-dev', 'the runtime of libFuzzer'],
  ['iproute2', 'shows what is left of networks'],
  ['procps', 'ps, by which tare-oci ps shows a table'],
  ['uidmap', 'newuidmap and newgidmap, for containers of who is not root'],
  ['util-linux', 'unshare and nsenter'],
  ['python3-minimal', 'a terminal to drive'],
  ['bsdutils', 'script, another terminal'],
  ['cpio', 'reads the initramfs back'],
  ['libcap2-bin', 'gives files capabilities'],
  ['user-mode-linux', 'a kernel with cgroup version 2 alone, and with AppArmor'],
  ['apparmor', 'compiles a profile'],
  ['docker.io', 'dockerd, an engine that runs Tare'],
  ['containerd', 'another'],
  ['podman', 'and another'],
  ['skopeo', 'reads and copies images'],
  ['attr', 'extended attributes, to compare with'],
  ['zstd', 'packs layers, to compare with'],
  ['docker-registry', 'the registry to pull from and push to'],
  ['openssl', 'makes a CA and certificates for it'],
  ['systemd', 'makes scopes for --systemd-cgroup, as process 1 of namespaces'],
];
