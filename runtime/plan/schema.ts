/**
 * The JSON schema of plans (draft 2020-12), made from the list of step kinds. The published copy is plan.schema.json beside
 * this file; a test keeps both the same.
 */
import { MAX_SLOTS, MAX_STEPS } from './operands.js';
import { type KindInfo, STEP_KINDS } from './steps.gen.js';

type Schema = Readonly<Record<string, unknown>>;

/** The schema, as a value for JSON.stringify. */
export function planSchema(): Schema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:tare:plan:1',
    title: 'Plan',
    description: 'A container as a program: steps in lanes, each one system call or one fixed sequence.',
    type: 'object',
    required: ['formatVersion', 'arch', 'stepsHash', 'slots', 'given', 'lanes'],
    properties: {
      formatVersion: { const: 1 },
      arch: { const: 'x86_64' },
      stepsHash: {
        description: 'SHA-256 of the list of step kinds that it was made with.',
        type: 'string',
        pattern: '^[0-9a-f]{64}$',
      },
      slots: {
        description: 'What steps fill and use: descriptors and pids.',
        type: 'array',
        maxItems: MAX_SLOTS,
        items: {
          type: 'object',
          required: ['name', 'type'],
          properties: { name: { type: 'string' }, type: { enum: ['fd', 'pid'] } },
          additionalProperties: false,
        },
      },
      given: {
        description: 'Names of the first slots, which are filled before the first step.',
        type: 'array',
        items: { type: 'string' },
      },
      lanes: {
        type: 'object',
        required: ['outside'],
        properties: Object.fromEntries(
          ['outside', 'bridge', 'inside'].map((lane) => [lane, { $ref: '#/$defs/steps' }]),
        ),
        additionalProperties: false,
      },
    },
    additionalProperties: false,
    $defs: {
      steps: { type: 'array', maxItems: MAX_STEPS, items: { $ref: '#/$defs/step' } },
      step: { oneOf: STEP_KINDS.map(({ kind }) => ({ $ref: `#/$defs/${kind}` })) },
      slot: {
        type: 'object',
        required: ['slot'],
        properties: { slot: { type: 'integer', minimum: 0, maximum: MAX_SLOTS - 1 } },
        additionalProperties: false,
      },
      ...Object.fromEntries(STEP_KINDS.map((info) => [info.kind, stepSchema(info)])),
    },
  };
}

function stepSchema(info: KindInfo): Schema {
  const slot = { $ref: '#/$defs/slot' };
  return {
    description: info.what,
    type: 'object',
    required: ['kind', 'inputs', 'outputs', 'field', 'why'],
    properties: {
      kind: { const: info.kind },
      inputs: {
        type: 'object',
        required: info.inputs.map(({ name }) => name),
        properties: Object.fromEntries(info.inputs.map(({ name, letter }) => [name, INPUTS[letter]])),
        additionalProperties: false,
      },
      outputs: {
        type: 'object',
        properties: Object.fromEntries(info.outputs.map(({ name }) => [name, slot])),
        additionalProperties: false,
      },
      if: { ...slot, description: 'Skipped unless this slot is filled.' },
      unless: { ...slot, description: 'Skipped if this slot is filled.' },
      tolerate: {
        description: 'Errnos that leave the outputs empty and let the plan go on.',
        type: 'array',
        maxItems: 2,
        items: { type: 'string', pattern: '^E[A-Z0-9]+$' },
      },
      field: { description: 'The config field that caused it.', type: 'string' },
      why: { type: 'string' },
      text: { description: 'The call as strace would show it; for people.', type: 'string' },
    },
    additionalProperties: false,
  };
}

const INPUTS: Readonly<Record<KindInfo['inputs'][number]['letter'], Schema>> = {
  d: { anyOf: [{ $ref: '#/$defs/slot' }, { enum: ['cwd', 'none'] }] },
  p: { anyOf: [{ $ref: '#/$defs/slot' }, { const: 'self' }] },
  l: { enum: ['outside', 'bridge', 'inside'] },
  s: { type: 'string' },
  v: { type: 'array', items: { type: 'string' } },
  b: {
    type: 'object',
    required: ['base64'],
    properties: { base64: { type: 'string', contentEncoding: 'base64', pattern: '^[A-Za-z0-9+/]*={0,2}$' } },
    additionalProperties: false,
  },
  u: {
    description: 'Unsigned, of 64 bits; a decimal string above 2^53-1.',
    anyOf: [
      { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      { type: 'string', pattern: '^[0-9]{16,20}$' },
    ],
  },
  i: { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
};
