/** Attack 11: whatever names a path in the root (volumes, devices, the working directory, masks) names one that leads out of it. */
import { mkdirSync } from 'node:fs';
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
});
