import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultConfig, prepare } from '../../runtime/container/index.js';
import { TareError } from '../../runtime/kernel/error.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { decodePlan } from '../../runtime/plan/decode.js';
import { diffPlans } from '../../runtime/plan/diff.js';
import { encodePlan } from '../../runtime/plan/encode.js';
import { planFromJson, planToJson } from '../../runtime/plan/json.js';
import { planSchema } from '../../runtime/plan/schema.js';
import { STEPS_HASH } from '../../runtime/plan/steps.gen.js';
import { anyPlan } from './arbitrary.js';

const published = join(packageRoot(), 'runtime', 'plan', 'plan.schema.json');
if (process.env.UPDATE_SCHEMA) writeFileSync(published, `${JSON.stringify(planSchema(), null, 2)}\n`);
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
const valid = ajv.compile(JSON.parse(readFileSync(published, 'utf8')));

function tiny() {
  const b = new PlanBuilder();
  const tasks = b.given('tasks');
  const open = b.outside.openat2(
    { dir: 'cwd', path: '/', flags: 0, mode: 0, resolve: 2n ** 60n },
    { tolerate: ['ENOENT'], as: 'root' },
  );
  b.outside.for('linux.cgroupsPath').write({ fd: tasks, data: Buffer.from([0, 255]) }, { if: open });
  b.outside.exec({ candidates: ['/bin/sh'], argv: ['sh'], env: ['TOKEN=secret', 'EMPTY'] });
  return b.build();
}

describe('planToJson and planFromJson', () => {
  it('give back every plan, through text, within the published schema', () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const json = JSON.parse(JSON.stringify(planToJson(plan)));
        if (!valid(json)) throw new Error(ajv.errorsText(valid.errors?.slice(0, 3)));
        const again = planFromJson(json);
        expect(encodePlan(again).equals(encodePlan(plan))).toBe(true);
        expect(again.slots).toEqual(plan.slots);
        for (const lane of ['outside', 'bridge', 'inside'] as const) {
          expect(again.lanes[lane]?.map(({ field, why }) => [field, why])).toEqual(
            plan.lanes[lane]?.map(({ field, why }) => [field, why]),
          );
        }
      }),
      { numRuns: 25 },
    );
  });

  it('write a format that does not change', () => {
    expect(JSON.stringify(planToJson(tiny()), null, 1).replace(STEPS_HASH, 'HASH')).toMatchInlineSnapshot(`
      "{
       "formatVersion": 1,
       "arch": "x86_64",
       "stepsHash": "HASH",
       "slots": [
        {
         "name": "tasks",
         "type": "fd"
        },
        {
         "name": "root",
         "type": "fd"
        }
       ],
       "given": [
        "tasks"
       ],
       "lanes": {
        "outside": [
         {
          "kind": "openat2",
          "inputs": {
           "dir": "cwd",
           "path": "/",
           "flags": 0,
           "mode": 0,
           "resolve": "1152921504606846976"
          },
          "outputs": {
           "fd": {
            "slot": 1
           }
          },
          "tolerate": [
           "ENOENT"
          ],
          "field": "default",
          "why": "openat2(2)",
          "text": "may ENOENT: openat2(AT_FDCWD, \\"/\\", O_RDONLY, 0, 0x1000000000000000) = root"
         },
         {
          "kind": "write",
          "inputs": {
           "fd": {
            "slot": 0
           },
           "data": {
            "base64": "AP8="
           }
          },
          "outputs": {},
          "if": {
           "slot": 1
          },
          "field": "linux.cgroupsPath",
          "why": "write(2), the whole of it in one call",
          "text": "if root: write(tasks, <2 bytes>)"
         },
         {
          "kind": "exec",
          "inputs": {
           "candidates": [
            "/bin/sh"
           ],
           "argv": [
            "sh"
           ],
           "env": [
            "TOKEN=secret",
            "EMPTY"
           ]
          },
          "outputs": {},
          "field": "default",
          "why": "execve(2) of the first candidate that exists; EACCES wins over ENOENT",
          "text": "exec([\\"/bin/sh\\"], [\\"sh\\"], [\\"TOKEN=secret\\", \\"EMPTY\\"])"
         }
        ]
       }
      }"
    `);
  });

  it('hide the environment when asked, in the text too', () => {
    const text = JSON.stringify(planToJson(tiny(), { hideEnvironment: true }));
    expect(text).not.toContain('secret');
    expect(text).toContain('TOKEN=***');
    expect(JSON.stringify(planToJson(tiny()))).toContain('TOKEN=secret');
  });

  // biome-ignore lint/suspicious/noExplicitAny: it reaches into JSON to break it
  type Edit = (json: Record<string, any>) => void;
  const change = (edit: Edit) => {
    const json = JSON.parse(JSON.stringify(planToJson(tiny())));
    edit(json);
    return json;
  };
  it.each<[string, string, Edit]>([
    [
      'another format',
      'formatVersion: format 2; this Tare knows 1',
      (json) => {
        json.formatVersion = 2;
      },
    ],
    [
      'another architecture',
      'arch: a plan is for x86_64',
      (json) => {
        json.arch = 'arm64';
      },
    ],
    [
      'no lanes',
      'lanes: an object is wanted',
      (json) => {
        json.lanes = [];
      },
    ],
    [
      'no outside lane',
      'lanes.outside: it is missing',
      (json) => {
        json.lanes = {};
      },
    ],
    [
      'a lane of another name',
      'lanes.upstairs: there is no such lane',
      (json) => {
        json.lanes.upstairs = [];
      },
    ],
    [
      'a slot of another type',
      'slots[0].type: fd or pid is wanted',
      (json) => {
        json.slots[0].type = 'uid';
      },
    ],
    [
      'an unknown kind',
      'lanes.outside[0].kind: there is no step kind "reboot"',
      (json) => {
        json.lanes.outside[0].kind = 'reboot';
      },
    ],
    [
      'a slot that is not there',
      'lanes.outside[1].inputs.fd: it names no slot',
      (json) => {
        json.lanes.outside[1].inputs.fd.slot = 9999;
      },
    ],
    [
      'bytes that are no base64',
      'lanes.outside[1].inputs.data.base64: it is not base64',
      (json) => {
        json.lanes.outside[1].inputs.data.base64 = '*';
      },
    ],
    [
      'a missing why',
      'lanes.outside[0].why: a string is wanted',
      (json) => {
        json.lanes.outside[0].why = undefined;
      },
    ],
    [
      'an input of the wrong type',
      'input "path": a string is wanted',
      (json) => {
        json.lanes.outside[0].inputs.path = 7;
      },
    ],
    [
      'an input too many',
      'it has no input "more"',
      (json) => {
        json.lanes.outside[0].inputs.more = 7;
      },
    ],
    [
      'a list in place of a plan',
      'an object is wanted',
      (json) => {
        json.lanes.outside = [[]];
      },
    ],
  ])('refuse %s, by its path', (_, message, edit) => {
    const bad = change(edit);
    expect(() => planFromJson(bad)).toThrow(message);
    expect(() => planFromJson(bad)).toThrow(TareError);
    expect(valid(bad)).toBe(false);
  });
});

describe('plan.schema.json', () => {
  it('is what schema.ts makes (UPDATE_SCHEMA=1 writes it, biome formats it)', () => {
    expect(JSON.parse(readFileSync(published, 'utf8'))).toEqual(planSchema());
  });

  it('is published by the package', () => {
    const { exports } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
    expect(exports['./plan.schema.json']).toBe('./runtime/plan/plan.schema.json');
  });
});

describe('the plan of the default container', () => {
  it('is within the schema, and survives JSON and bytes', (context) => {
    if (process.geteuid?.() !== 0) context.skip('only root makes the default container here');
    const rootfs = mkdtempSync(join(tmpdir(), 'tare-json-'));
    try {
      const config = defaultConfig({ rootfs, args: ['sh'], hostname: 'box', caller: { uid: 0, gid: 0 } });
      const { plan } = prepare({ id: 'json', bundle: { path: rootfs, rootfs, config } });
      const json = JSON.parse(JSON.stringify(planToJson(plan)));
      expect(valid(json), ajv.errorsText(valid.errors?.slice(0, 3))).toBe(true);
      expect(diffPlans(plan, planFromJson(json)).same).toBe(true);
      expect(encodePlan(decodePlan(encodePlan(plan))).equals(encodePlan(plan))).toBe(true);
      for (const step of Object.values(plan.lanes).flat())
        expect([step.kind, step.why.length > 0]).toEqual([step.kind, true]);
    } finally {
      rmSync(rootfs, { recursive: true });
    }
  });
});
