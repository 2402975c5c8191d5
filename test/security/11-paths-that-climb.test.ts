/** Attack 11: whatever names a path in the root (volumes, devices, the working directory, masks) names one that leads out of it. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { attempt } from './naive.js';
import { CLIMBING, withstands } from './scenarios.js';

describe('a path that leads out of the root', () => {
  it('reaches the host where it is resolved as any other', async () => {
    const scenario = CLIMBING[0] as (typeof CLIMBING)[number];
    const { mounted, error } = await attempt({
      ...scenario.attack,
      image: (rootfs, place) => {
        scenario.attack.image?.(rootfs, place);
        mkdirSync(join(place.host, 'bind'));
      },
      edit: (step, { rootfs }) =>
        step.kind === 'mkdir_in_root' && step.inputs.path === '/out/bind'
          ? {
              ...step,
              kind: 'openat2',
              inputs: { dir: 'cwd', path: join(rootfs, 'out/bind'), flags: 0o10000000, mode: 0, resolve: 0 },
            }
          : step,
    });
    expect(error?.message).toBeUndefined();
    expect(mounted.some((path) => path.endsWith('/host/bind'))).toBe(true);
  });

  it.each(CLIMBING.map((scenario) => [scenario.name, scenario] as const))('%s, stays within', (_, scenario) =>
    withstands(scenario),
  );

  it('as the source of a volume that lies in the root file system: shows what is within', async () => {
    const { output, error } = await attempt({
      args: ['sh', '-c', 'ls /vol'],
      image: (rootfs, { host }) => {
        mkdirSync(join(rootfs, host), { recursive: true });
        writeFileSync(join(rootfs, host, 'within'), '');
        symlinkSync(host, join(rootfs, 'trap'));
      },
      change: (config, { rootfs }) => ({
        ...config,
        mounts: [...(config.mounts ?? []), { destination: '/vol', source: join(rootfs, 'trap'), options: ['rbind'] }],
      }),
    });
    expect(error?.message).toBeUndefined();
    expect(output).toBe('within\n');
  });
});
