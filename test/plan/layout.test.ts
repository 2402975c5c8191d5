import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import * as layout from '../../runtime/plan/layout.js';
import { MAX_SLOTS, MAX_STEPS } from '../../runtime/plan/operands.js';

/** Field names of the C structs beside ours. */
const STRUCTS = [
  [
    'plan_header',
    layout.HEADER,
    {
      magic: 'magic',
      version: 'version',
      arch: 'arch',
      stepsHash: 'steps_hash',
      planSize: 'size',
      slots: 'slots',
      given: 'given',
      lanes: 'lanes',
      laneSteps: 'lane_steps',
      data: 'data',
    },
  ],
  [
    'plan_step',
    layout.STEP,
    {
      kind: 'kind',
      inputs: 'inputs',
      outputs: 'outputs',
      guardIf: 'guard_if',
      guardUnless: 'guard_unless',
      tolerate: 'tolerate',
      output: 'output',
      input: 'input',
    },
  ],
  [
    'report',
    layout.REPORT,
    { type: 'type', step: 'step', error: 'error', nameSize: 'name_size', value: 'value', ns: 'ns' },
  ],
  ['reply', layout.REPLY, { type: 'type', error: 'error', value: 'value' }],
  ['sup_request', layout.SUP_REQUEST, { type: 'type', min: 'min', max: 'max', value: 'value' }],
  [
    'sup_answer',
    layout.SUP_ANSWER,
    { type: 'type', error: 'error', version: 'version', running: 'running', pid: 'pid', status: 'status' },
  ],
] as const;

const CONSTANTS: Record<string, number> = {
  PLAN_VERSION: layout.PLAN_VERSION,
  PLAN_MAX_SIZE: layout.PLAN_MAX_SIZE,
  PLAN_MAX_SLOTS: MAX_SLOTS,
  PLAN_MAX_STEPS: MAX_STEPS,
  SLOT_NONE: layout.SLOT_NONE,
  SLOT_CWD: layout.SLOT_CWD,
  AUDIT_ARCH_X86_64: layout.ARCH_X86_64,
  REPLY_GO: layout.REPLY_GO,
  REPLY_ANSWER: layout.REPLY_ANSWER,
  REPLY_ABORT: layout.REPLY_ABORT,
  REPLY_SIGNAL: layout.REPLY_SIGNAL,
  SUP_HELLO: layout.SUP_HELLO,
  SUP_SIGNAL: layout.SUP_SIGNAL,
  SUP_STATUS: layout.SUP_STATUS,
  SUP_STDIO: layout.SUP_STDIO,
  SUPERVISOR_MIN: layout.SUPERVISOR_MIN,
  SUPERVISOR_MAX: layout.SUPERVISOR_MAX,
  ...Object.fromEntries(layout.REPORT_TYPES.map((name, i) => [`REPORT_${name.toUpperCase()}`, i + 1])),
};

it('agrees with protocol.h as the C compiler sees it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tare-layout-'));
  try {
    const lines: string[] = [];
    const expected: Record<string, number> = { ...CONSTANTS };
    for (const [name, ours, fields] of STRUCTS) {
      lines.push(`P(sizeof(struct ${name}))`);
      expected[`sizeof(struct ${name})`] = ours.size;
      for (const [mine, theirs] of Object.entries(fields)) {
        lines.push(`P(offsetof(struct ${name}, ${theirs}))`);
        expected[`offsetof(struct ${name}, ${theirs})`] = (ours as Record<string, number>)[mine] as number;
      }
    }
    for (const name of Object.keys(CONSTANTS)) lines.push(`P(${name})`);
    const source = `#include <stddef.h>
#include <stdio.h>
#include <linux/audit.h>
#include "protocol.h"
#define P(what) printf("%s=%lld\\n", #what, (long long)(what));
int main(void) { ${lines.join('\n')} return 0; }
`;
    writeFileSync(join(folder, 'layout.c'), source);
    const include = join(packageRoot(), 'native', 'stage');
    execFileSync('gcc', ['-I', include, '-o', join(folder, 'layout'), join(folder, 'layout.c')]);
    const printed = execFileSync(join(folder, 'layout'), { encoding: 'utf8' });
    const found = printed
      .trim()
      .split('\n')
      .map((line) => /^(.*)=(-?\d+)$/.exec(line))
      .map((match) => [match?.[1], Number(match?.[2])]);
    expect(Object.fromEntries(found)).toEqual(expected);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
