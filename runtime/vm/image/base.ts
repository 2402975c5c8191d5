/**
 * The base layer: Debian packages as one squashfs, and the kernel that came with them. mmdebstrap's tar goes straight into
 * mksquashfs, so no device node or foreign owner is ever made on the host, and no privilege is needed for it.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { type AptSources, hostApt } from './apt.js';
import { BOOT_MODULES, KERNEL_PACKAGE, PACKAGES } from './contents.js';
import { extractVmlinux } from './kernel.js';
import { runShell } from './run.js';
import { artefact, exists, make, needSpace, type Progress } from './store.js';

/** Changes when the way of building changes, so that old layers are not taken for new ones. */
const RECIPE = 4;
const NEEDED_BYTES = 1500 << 20;

export interface BaseLayer {
  readonly key: string;
  readonly squashfs: string;
  readonly vmlinux: string;
  /** The modules of the initramfs, in their order. */
  readonly modules: readonly string[];
}

/** The same for the same packages of the same release, wherever they are downloaded from. */
export function baseKey(suite: string, packages: readonly string[] = PACKAGES): string {
  const what = JSON.stringify({ RECIPE, suite, packages: [...packages].sort(), KERNEL_PACKAGE, BOOT_MODULES });
  return createHash('sha256').update(what).digest('hex').slice(0, 16);
}

/** Builds the layer unless it is there. Half a minute and 500 MB of downloads and disk, once. */
export async function prepareBase(onProgress: Progress): Promise<BaseLayer> {
  const sources = await hostApt();
  const key = baseKey(sources.suite);
  if (!(await exists('base', key))) {
    await needSpace(NEEDED_BYTES);
    await make('base', key, (folder) => build(folder, sources, onProgress));
  }
  return describeBase(key);
}

export function describeBase(key: string): BaseLayer {
  const folder = artefact('base', key);
  return {
    key,
    squashfs: join(folder, 'base.squashfs'),
    vmlinux: join(folder, 'vmlinux'),
    modules: BOOT_MODULES.map((name, i) => join(folder, 'modules', `${String(i).padStart(2, '0')}-${name}.ko`)),
  };
}

/** Lines of mmdebstrap that a person wants to know of, and how far the build is then. */
const STAGES: readonly [RegExp, string, number][] = [
  [/running apt-get update/, 'reading the list of Debian packages', 0.03],
  [/downloading packages/, 'downloading Debian packages', 0.08],
  [/extracting archives/, 'unpacking Debian packages', 0.25],
  [/installing essential/, 'installing the essential packages', 0.3],
  [/installing remaining/, 'installing tools, compiler and manual pages', 0.4],
  [/running --customize-hook/, 'fetching the kernel', 0.7],
  [/creating tarball/, 'packing the base layer', 0.8],
];

/** In the new system ($1), before it is packed: an ordinary user, the kernel beside it ($KERNEL_OUT), its modules within. */
const CUSTOMIZE = `set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
chroot "$1" useradd --create-home --shell /bin/bash --uid 1000 learner
package=$(apt-cache depends ${KERNEL_PACKAGE} | sed -n 's/.*Depends: \\(linux-image-[0-9][^ ]*\\)$/\\1/p' | head -n 1)
mkdir "$1/kernel" && cd "$1/kernel"
apt-get download "$package"
dpkg-deb -x ./*.deb .
mv lib/modules "$1/lib/modules"
release=$(ls "$1/lib/modules")
chroot "$1" depmod "$release"
cp boot/vmlinuz-* "$KERNEL_OUT/vmlinuz"
for module in ${BOOT_MODULES.join(' ')}; do
  cp "$(find "$1/lib/modules" -name "$module.ko*" | head -n 1)" "$KERNEL_OUT/"
done
cd / && rm -rf "$1/kernel" "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/machine-id"
chmod -R a+rX "$KERNEL_OUT"`;

async function build(folder: string, sources: AptSources, onProgress: Progress): Promise<void> {
  const kernelOut = join(folder, 'kernel');
  const temporary = join(folder, 'tmp');
  await mkdir(kernelOut, { mode: 0o777 });
  await mkdir(temporary, { mode: 0o777 });
  const args = [
    ...['--variant=minbase', `--include=${PACKAGES.join(',')}`, '--format=tar', '--skip=check/qemu'],
    // A learner reads the manual pages, in English; the rest of the documentation would be half of the image.
    ...[
      '/usr/share/locale/*',
      '/usr/share/doc/*',
      '/usr/share/info/*',
      '/usr/share/man/??/*',
      '/usr/share/man/??_*/*',
    ].map((path) => `--dpkgopt=path-exclude=${path}`),
    ...sources.options.map((option) => `--aptopt=${option}`),
    `--customize-hook=${CUSTOMIZE}`,
    ...[sources.suite, '-', ...sources.lines],
  ];
  onProgress('preparing Debian packages', 0.01);
  await runShell(
    'squashfs=$1; shift; mmdebstrap "$@" | mksquashfs - "$squashfs" -tar -quiet -no-progress -comp zstd -Xcompression-level 3 -b 128K',
    [join(folder, 'base.squashfs'), ...args],
    {
      env: { ...process.env, TMPDIR: temporary, KERNEL_OUT: kernelOut, LC_ALL: 'C.UTF-8' },
      cwd: '/',
      onLine: (line) => {
        const stage = STAGES.find(([pattern]) => pattern.test(line));
        if (stage) onProgress(stage[1], stage[2]);
      },
    },
  );
  onProgress('unpacking the kernel', 0.95);
  await keepKernel(folder, kernelOut);
  await rm(temporary, { recursive: true, force: true });
}

async function keepKernel(folder: string, kernelOut: string): Promise<void> {
  await writeFile(join(folder, 'vmlinux'), extractVmlinux(await readFile(join(kernelOut, 'vmlinuz'))));
  await mkdir(join(folder, 'modules'));
  const found = await readdir(kernelOut);
  for (const [i, name] of BOOT_MODULES.entries()) {
    if (!found.includes(`${name}.ko`))
      throw new TareError('unsupported', `the kernel’s module ${name} is missing or compressed`);
    await writeFile(
      join(folder, 'modules', `${String(i).padStart(2, '0')}-${name}.ko`),
      await readFile(join(kernelOut, `${name}.ko`)),
    );
  }
  await rm(kernelOut, { recursive: true, force: true });
}
