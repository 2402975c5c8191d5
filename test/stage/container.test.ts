/** A whole container by hand: what a program in it sees, what stage weighs beside it, and that nothing of it stays. */
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { until } from '../harness/until.js';
import { containerPlan } from './container.js';
import { planBytes, shell, type TestStep } from './plan-bytes.js';
import { BUILDS, hasEnded, Stage } from './stage.js';

const folder = mkdtempSync(join(tmpdir(), 'tare-container-'));
afterAll(() => {
  rmdirSync(folder); // and it is empty: its mounts were the container's own
});
const plan = (...last: TestStep[]) => planBytes(containerPlan(folder, ...last));

describe.each(BUILDS)('%s: a container', (build) => {
  async function see(line: string): Promise<string> {
    await using stage = new Stage(plan(shell(line)), { build, lanes: 2 });
    if ((await stage.ended()) !== 0)
      throw new Error(`${line}: ${JSON.stringify(await stage.failure())} ${stage.output}`);
    return stage.output.trim();
  }

  it('has its own processes, name, network, root and rights', async () => {
    expect(await see('echo $$; hostname; pwd; ls /')).toBe(
      '1\ncontainer\n/\nbin\ndev\nlib\nlib64\nproc\nsbin\nsys\nusr',
    );
    expect(await see('cat /sys/class/net/lo/flags; ls /sys/class/net')).toBe('0x9\nlo');
    expect(await see('ls /dev')).toBe('full\nmqueue\nnull\npts\nrandom\nshm\ntty\nurandom\nzero');
    expect(await see('stat -c %t:%T /proc/keys')).toBe('1:3');
    expect(await see('grep -E "^Cap|NoNew" /proc/self/status')).toBe(
      [
        'CapInh:\t0000000000000000',
        'CapPrm:\t00000000a80425fb',
        'CapEff:\t00000000a80425fb',
        'CapBnd:\t00000000a80425fb',
        'CapAmb:\t0000000000000000',
        'NoNewPrivs:\t1',
      ].join('\n'),
    );
    expect(await see('touch /usr/x 2>&1 || :; touch /sys/x 2>&1 || :')).toMatch(/Read-only.*\n.*Read-only/);
    expect(await see('cd /proc/self/fd; for i in 3 4 5 6 7 8 9 10 11 12; do test -e $i && echo $i; done; :')).toBe('');
  });

  it('the same container runs under --trace, and every step is reported', async () => {
    const bytes = plan(shell('exit 0'));
    await using stage = new Stage(bytes, { build, lanes: 2, mode: '--trace' });
    expect(await stage.ended()).toBe(0);
    const done = stage.reports.filter((report) => report.lane === 1 && report.type === 'done');
    expect(done.map((report) => report.step)).toEqual([...Array(bytes.readUInt32LE(68) - 1).keys()]);
  });
});

it('a container dies with stage, however stage dies', async () => {
  await using stage = new Stage(plan(shell('echo ready; sleep 1000')), { lanes: 2 });
  const { value: pid } = await stage.until('cloned');
  await until(() => stage.output === 'ready\n');
  stage.signal(9);
  expect(await stage.ended()).toBe(137);
  await until(() => hasEnded(pid));
});

describe('stage', () => {
  it('is under 150 KB, and static', () => {
    const path = join(packageRoot(), 'dist/native/stage');
    expect(statSync(path).size).toBeLessThan(150_000);
    expect(readFileSync(path).includes('/lib64/ld-linux')).toBe(false);
  });

  it('has under 400 KB of private memory while it supervises, and one process', async () => {
    await using stage = new Stage(plan(shell('echo ready; sleep 1000')), { lanes: 2 });
    await stage.until('supervising');
    await until(() => stage.output === 'ready\n');
    const rollup = readFileSync(`/proc/${stage.pid}/smaps_rollup`, 'utf8');
    const kilobytes = [...rollup.matchAll(/^Private_\w+: +(\d+) kB$/gm)].map((match) => Number(match[1]));
    expect(kilobytes).toHaveLength(3);
    expect(kilobytes.reduce((sum, one) => sum + one)).toBeLessThan(400);
    expect(readdirSync(`/proc/${stage.pid}/task`)).toHaveLength(1);
  });
});
