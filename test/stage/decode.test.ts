/** The decoder: every field of a malformed plan is refused with a sentence, and no step of it has run. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { malformed } from './malformed.js';
import { CWD, NONE, planBytes, step } from './plan-bytes.js';
import { BUILDS, Stage } from './stage.js';

const folder = mkdtempSync(join(tmpdir(), 'tare-decode-'));
const mark = () => step('mkdirat', [CWD, join(folder, 'mark'), 0o755]);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.each(BUILDS)('%s refuses', (build) => {
  it.each(malformed(mark))('%s', async (_, plan, why, spoil) => {
    const bytes = planBytes(plan);
    spoil?.(bytes);
    await using stage = new Stage(bytes, { build, lanes: Math.max(1, Math.min(4, plan.lanes.length)) });
    const refused = await stage.until('refused');
    expect(refused.name).toMatch(why);
    expect(await stage.ended()).toBe(125);
    expect(stage.reports.map((report) => report.type)).toEqual(['refused']);
    expect(existsSync(join(folder, 'mark'))).toBe(false);
  });

  it('a plan of no bytes, and one of 16 MiB and more', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(87), Buffer.alloc((16 << 20) + 8)]) {
      await using stage = new Stage(bytes, { build });
      expect((await stage.until('refused')).name).toMatch(/too small or too large/);
      expect(await stage.ended()).toBe(125);
    }
  });

  it('a plan that can still change', async () => {
    const path = join(folder, `plan-${build.length}`);
    writeFileSync(path, planBytes({ lanes: [[mark()]] }));
    const planFd = openSync(path, 'r');
    await using stage = new Stage(Buffer.alloc(0), { build, planFd });
    expect((await stage.until('refused')).name).toMatch(/no sealed memfd/);
    expect(await stage.ended()).toBe(125);
  });

  it('a plan whose given descriptors are not there', async () => {
    await using stage = new Stage(planBytes({ lanes: [[mark()]], given: 1 }), { build });
    expect((await stage.until('refused')).name).toMatch(/given descriptor/);
    expect(existsSync(join(folder, 'mark'))).toBe(false);
  });

  it('to run without sockets: it ends, and is not ended', () => {
    const { status, signal } = spawnSync(join(packageRoot(), 'dist/native', build), ['run'], { stdio: 'ignore' });
    expect([status, signal]).toEqual([125, null]);
  });

  it('unknown arguments', async () => {
    const plan = planBytes({ lanes: [[mark()]] });
    await using stage = new Stage(plan, { build, mode: '--nonsense' as '--trace' });
    expect(await stage.ended()).toBe(125);
    expect(stage.output).toMatch(/^usage: stage run/);
    expect(existsSync(join(folder, 'mark'))).toBe(false);
  });
});

describe.each(BUILDS)('%s accepts', (build) => {
  it('the largest numbers of slots, lanes and steps', async () => {
    const steps = Array.from({ length: 8188 }, () => step('umask', [0o22]));
    const clone = (number: number) => step('clone', [number, 0, NONE], { out: [1000 + 2 * number, 1001 + 2 * number] });
    const plan = { slots: 1024, lanes: [[...steps, clone(1)], [clone(2)], [clone(3)], [step('exit', [0])]] };
    await using stage = new Stage(planBytes(plan), { build, lanes: 4 });
    expect(await stage.ended()).toBe(0);
    expect(stage.reports.filter((report) => report.type === 'failed')).toEqual([]);
  });

  it('a plan without steps', async () => {
    await using stage = new Stage(planBytes({ lanes: [[]], slots: 0 }), { build });
    expect(await stage.ended()).toBe(0);
    expect(stage.reports).toMatchObject([{ type: 'hello', value: 1 }]);
  });
});
