/** What a page may not say: each ends its connection with a reason, and the server goes on for the others. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLOSE, MAX_FRAME } from '../../web-lab/protocol.js';
import { readFrame, readMessage } from '../../web-lab/server/validate.js';
import { openLab, Page } from './visitor.js';

const malformed: readonly (readonly [string, unknown])[] = [
  ['no JSON', undefined],
  ['null', null],
  ['a list', []],
  ['a number', 7],
  ['an unknown type', { type: 'machine.destroy' }],
  ['a missing field', { type: 'terminal.open', columns: 80, rows: 24 }],
  ['an unknown field', { type: 'machine.new', cold: true }],
  ['no columns', { type: 'terminal.open', request: 1, columns: 0, rows: 24 }],
  ['endless columns', { type: 'terminal.resize', terminal: 1, columns: 1e9, rows: 24 }],
  ['half a row', { type: 'terminal.resize', terminal: 1, columns: 80, rows: 1.5 }],
  ['NaN', { type: 'terminal.resize', terminal: 1, columns: Number.NaN, rows: 5 }],
  ['negative bytes', { type: 'terminal.ack', terminal: 1, bytes: -1 }],
  ['a path as chapter', { type: 'chapter.open', chapter: '../../etc' }],
  ['__proto__ as exercise', { type: 'exercise.start', exercise: '__proto__' }],
  ['a long name', { type: 'exercise.start', exercise: 'a'.repeat(65) }],
  ['text for a number', { type: 'terminal.close', terminal: '1' }],
];

it.each(malformed)('%s is refused by the schema', (_, value) => {
  expect(readMessage(value === undefined ? '{' : JSON.stringify(value))).toHaveProperty('fault');
});

it('whatever JSON comes is a message of the protocol or a fault, never an exception', () => {
  const types = ['chapter.open', 'terminal.open', 'terminal.resize', 'terminal.ack', 'exercise.start', 'machine.new'];
  const nearly = fc.record(
    {
      type: fc.constantFrom(...types),
      request: fc.oneof(fc.integer(), fc.string()),
      terminal: fc.oneof(fc.double(), fc.nat()),
      columns: fc.integer(),
      rows: fc.anything(),
      bytes: fc.maxSafeInteger(),
      chapter: fc.string(),
      exercise: fc.string(),
    },
    { requiredKeys: ['type'] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        nearly.map((value) => JSON.stringify(value)),
      ),
      (text) => {
        const read = readMessage(text);
        expect(Object.keys(read)).toHaveLength(1);
        if ('message' in read) expect(JSON.parse(text)).toEqual(read.message);
      },
    ),
    { numRuns: 2000 },
  );
});

it.each([0, 1, 4])('a terminal frame of %i bytes is refused', (length) => {
  expect(readFrame(Buffer.alloc(length))).toHaveProperty('fault');
});

describe('a page that says such a thing', () => {
  it.each(malformed.slice(0, 6))('(%s) is disconnected with a reason, and others go on', async (_, value) => {
    await using test = await openLab();
    const other = await Page.open(test, 'f'.repeat(32));
    const id = await other.settle();
    const page = await Page.open(test);
    page.socket.send(value === undefined ? '{' : JSON.stringify(value));
    await page.until(() => page.closed !== undefined, 'the end of the connection');
    expect(page.closed?.code).toBe(CLOSE.malformed);
    expect(page.closed?.reason).not.toBe('');
    other.input(id, 'fine');
    await other.until(() => other.output.get(id)?.includes('fine') === true, 'the echo');
  });

  it('in letters of several bytes is disconnected with as much of the reason as a close frame holds', async () => {
    await using test = await openLab();
    const page = await Page.open(test);
    page.socket.send(JSON.stringify({ type: 'machine.new', ['漢'.repeat(200)]: 1 }));
    await page.until(() => page.closed !== undefined, 'the end of the connection');
    expect(page.closed?.code).toBe(CLOSE.malformed);
    expect(page.closed?.reason).toMatch(/^the message is not one of the protocol: .*漢$/);
  });

  it('too large is disconnected', async () => {
    await using test = await openLab();
    const page = await Page.open(test);
    page.socket.send(Buffer.alloc(MAX_FRAME + 1));
    await page.until(() => page.closed !== undefined, 'the end of the connection');
    expect(page.closed?.code).toBe(1009);
  });

  it.each([
    { type: 'chapter.open', chapter: 'none' },
    { type: 'exercise.start', exercise: 'none' },
    { type: 'exercise.check' },
    { type: 'exercise.solution' },
    { type: 'terminal.open', request: 5, columns: 80, rows: 24 },
  ] as const)('hears one sentence when it asks for what is not there: $type', async (message) => {
    await using test = await openLab();
    const page = await Page.open(test);
    page.send(message);
    const { sentence } = await page.next('failed');
    expect(sentence).toMatch(/^[A-Z].*\.$/);
  });

  it('floods only itself: what exceeds its share waits in its own socket', async () => {
    await using test = await openLab();
    const page = await Page.open(test);
    const id = await page.settle();
    const flood = 30_000;
    for (let count = 0; count < flood; count++) {
      page.send({ type: 'terminal.resize', terminal: id, columns: 20 + (count % 100), rows: 24 });
    }
    const other = await Page.open(test, 'f'.repeat(32));
    await other.settle();
    const sizes = test.provider.machines[0]?.terminals[0]?.sizes ?? [];
    expect(sizes.length).toBeGreaterThan(0);
    expect(sizes.length).toBeLessThan(flood);
  });
});
