/**
 * Attack 2, by the program instead of its directory: its path, its `#!` line or its loader leads through /proc/self/fd/N to
 * the host. Close-on-exec is no defence: the kernel resolves all of them before it closes anything.
 */
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Step } from '../../runtime/plan/index.js';
import { attempt } from './naive.js';

const NUMBERS = Array.from({ length: 78 }, (_, i) => i + 3);
const args = ['/bin/busybox-of-the-host', 'echo', 'ran a program of the host'];

const images: [string, (target: string) => (rootfs: string) => void][] = [
  ['a link', (target) => (rootfs) => symlinkSync(target, join(rootfs, args[0] as string))],
  [
    'a #! line',
    (target) => (rootfs) => {
      writeFileSync(join(rootfs, args[0] as string), `#!${target} echo\n`);
      chmodSync(join(rootfs, args[0] as string), 0o755);
    },
  ],
];

const everythingOpen = (step: Step) => (step.kind === 'close_others' ? undefined : step);

describe.each(images)('a program that is %s to /proc/self/fd/N/...', (_, image) => {
  it('runs a program of the host while descriptors are open', async () => {
    const ran = await Promise.all(
      NUMBERS.slice(0, 8).map((n) =>
        attempt({ image: image(`/proc/self/fd/${n}/busybox`), args, edit: everythingOpen }),
      ),
    );
    expect(ran.some(({ output }) => output.includes('ran a program of the host'))).toBe(true);
  });

  it('is not found for any N', async () => {
    for (const n of NUMBERS) {
      const { output, error } = await attempt({ image: image(`/proc/self/fd/${n}/busybox`), args });
      expect(output).toBe('');
      expect(error?.message).toMatch(/^.*exec/s);
    }
  });
});
