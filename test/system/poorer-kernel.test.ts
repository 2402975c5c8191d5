/** Every row of the feature table: the default container, and one with a user namespace, run without it, or are refused in one sentence. */

import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FEATURES, type FeatureName, probeFeatures } from '../../runtime/kernel/features.js';
import { userNamespace } from '../harness/bundle.js';
import { attempt } from '../security/naive.js';

const SCRIPT = `touch /x 2>/dev/null || echo root; touch /vol/x 2>/dev/null || echo volume; touch /proc/sys/x 2>/dev/null || echo proc
  cat /proc/keys; test -c /dev/null && grep -c ' /vol ro,' /proc/self/mountinfo; id -u`;

const names = Object.keys(FEATURES) as FeatureName[];
const required = names.filter((name) => FEATURES[name].fallback === 'required');

describe.each<[string, boolean]>([
  ['the default container', false],
  ['one with a user namespace', true],
])('%s', (_, mapped) => {
  const run = (lacking: readonly FeatureName[]) =>
    attempt({
      args: ['sh', '-c', SCRIPT],
      lacking,
      image: (rootfs) => {
        for (const folder of [join(rootfs, '..'), rootfs]) chmodSync(folder, 0o755);
        if (mapped) execFileSync('chown', ['-R', '100000:100000', rootfs]);
      },
      options: { readonlyRoot: true },
      change: (config, { volume }) => ({
        ...config,
        mounts: [
          ...(config.mounts ?? []),
          { destination: '/vol', type: 'bind', source: volume, options: ['rbind', 'ro'] },
        ],
        ...(mapped && { linux: { ...config.linux, ...userNamespace(), resources: undefined } }),
      }),
    });
  const expected = 'root\nvolume\nproc\n1\n0\n';

  it.each(names.filter((name) => !required.includes(name) && !(mapped && name === 'userNamespaces')))(
    'runs without %s',
    async (name) => {
      const { output, error } = await run([name]);
      expect(error?.message).toBeUndefined();
      expect(output).toBe(expected);
    },
  );

  it('runs with what is required alone', async () => {
    const lacking = names.filter((name) => !required.includes(name) && !(mapped && name === 'userNamespaces'));
    const { output, error } = await run(lacking);
    expect(error?.message).toBeUndefined();
    expect(output).toBe(expected);
  });

  it.each(required)('is refused without %s, in one sentence', async (name) => {
    const { kernel } = probeFeatures();
    const since = FEATURES[name].since.join('.');
    await expect(run([name])).rejects.toThrow(
      expect.objectContaining({
        code: 'unsupported',
        message: `this kernel (${kernel}) has no ${name}, which Linux ${since} brought`,
      }),
    );
  });
});
