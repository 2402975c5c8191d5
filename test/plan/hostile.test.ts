import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { REPORT, REPORT_TYPES } from '../../runtime/plan/layout.js';
import { decodeReport, type ReportType } from '../../runtime/plan/reports.js';
import { runPlan } from '../../runtime/plan/run.js';
import { compileLiar, type Liar } from './liar.js';

let liar: Liar;
beforeAll(() => {
  liar = compileLiar();
});
afterAll(() => liar.close());

function report(
  type: ReportType | number,
  more: { step?: number; error?: number; name?: string; value?: number; nameSize?: number } = {},
) {
  const name = Buffer.from(more.name ?? '');
  const bytes = Buffer.alloc(REPORT.size + name.length);
  bytes.writeUInt32LE(typeof type === 'number' ? type : REPORT_TYPES.indexOf(type) + 1, REPORT.type);
  bytes.writeUInt32LE(more.step ?? 0, REPORT.step);
  bytes.writeInt32LE(more.error ?? 0, REPORT.error);
  bytes.writeUInt32LE(more.nameSize ?? name.length, REPORT.nameSize);
  bytes.writeBigInt64LE(BigInt(more.value ?? 0), REPORT.value);
  name.copy(bytes, REPORT.size);
  return bytes.toString('hex');
}

/** A plan that supervises, run by the liar. */
async function told(...say: string[]) {
  const b = new PlanBuilder();
  const init = b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
  b.outside.call({ name: 'hook', fd: 'none' });
  b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
  b.inside.exec({ candidates: ['/bin/true'], argv: ['true'], env: [] });
  const before = readdirSync('/proc/self/fd').length;
  const run = runPlan(b.build(), { stage: liar.fd, stageEnv: [`SAY=${say.join()}`] });
  const outcome = await run.exited.catch((error: unknown) => error);
  const ended = await run.ended;
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  return { outcome, ended, run };
}

const hello = report('hello', { value: 1 });

describe('a stage that does not keep to the protocol', () => {
  it.each<[string, string[], string]>([
    ['says nothing', [], 'stage exited with 3 before the plan was done'],
    ['says too little', ['0102'], 'stage sent a report of 2 bytes'],
    ['says too much', ['00'.repeat(513)], 'larger than agreed'],
    ['says what nobody knows', [report(99)], 'stage sent a report of type 99'],
    ['says type 0', [report(0)], 'stage sent a report of type 0'],
    [
      'gives a name another size',
      [report('failed', { name: 'abc', nameSize: 9 })],
      'whose name does not have the size that it says',
    ],
    ['greets twice', [hello, hello], 'a second or foreign hello'],
    ['greets in another version', [report('hello', { value: 2 })], 'a second or foreign hello'],
    [
      'names a step that is not there',
      [hello, report('failed', { step: 7, error: 1 })],
      'of a step that the outside lane does not have',
    ],
    [
      'names step 2^32-1',
      [hello, report('done', { step: 0xffffffff })],
      'of a step that the outside lane does not have',
    ],
    ['attaches a descriptor where none belongs', [`+${hello}`], 'a hello report with a descriptor'],
    ['attaches one to a step that is not there', [hello, `+${report('give', { step: 7 })}`], 'does not have'],
    ['gives nothing', [hello, report('give', { name: 'x' })], 'a give report without a descriptor'],
    ['clones without a pidfd', [hello, report('cloned', { value: 5 })], 'a cloned report that is none'],
    [
      'clones by a step that is none',
      [hello, `+${report('cloned', { step: 1, value: 5 })}`],
      'a cloned report that is none',
    ],
    ['refuses', [report('refused', { name: 'lane 7 is green' })], 'stage refused the plan: lane 7 is green'],
  ])('%s', async (_, say, message) => {
    const { outcome, ended, run } = await told(...say);
    expect(outcome).toBeInstanceOf(TareError);
    expect((outcome as TareError).message).toContain(message);
    expect(['protocol', 'plan', 'system-call']).toContain((outcome as TareError).code);
    expect(ended).toBe(outcome);
    await expect(run.started).rejects.toBe(outcome);
  });

  it('supervises and never tells the end', async () => {
    const { outcome } = await told(hello, report('supervising', { step: 2 }));
    expect((outcome as TareError).message).toBe('stage exited with 3 before the plan was done');
  });

  it('closes what it gives, however often', async () => {
    const { outcome } = await told(
      hello,
      `+${report('give', { name: 'a' })}`,
      `+${report('give', { name: 'a' })}`,
      `+${report('cloned', { value: 5 })}`,
    );
    expect((outcome as TareError).message).toContain('before the plan was done');
  });

  it('tells its end once, and then says more', async () => {
    const exited = report('exited', { step: 2, value: 0 });
    const { outcome } = await told(hello, report('supervising', { step: 2 }), exited, exited, report(77), '00');
    expect(outcome).toBe(0);
  });

  it('could not write the exit status: the status is known, the error too', async () => {
    const { outcome, ended } = await told(
      hello,
      report('exited', { step: 2, value: 256, error: 28, name: 'write of STATE/exit' }),
    );
    expect(outcome).toBe(256);
    expect(ended?.message).toBe('write of STATE/exit: ENOSPC');
  });
});

describe('decodeReport', () => {
  it('gives back what was encoded', () => {
    expect(
      decodeReport(Buffer.from(report('failed', { step: 3, error: 2, name: 'openat2', value: -1 }), 'hex')),
    ).toEqual({
      type: 'failed',
      step: 3,
      error: 2,
      name: 'openat2',
      value: -1,
      ns: 0,
    });
  });

  it('never throws anything but a TareError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        try {
          decodeReport(Buffer.from(bytes));
        } catch (error) {
          if (!(error instanceof TareError)) throw error;
          expect(error.code).toBe('protocol');
        }
      }),
    );
  });
});
