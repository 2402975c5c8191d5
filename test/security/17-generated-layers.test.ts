/**
 * Attacks 17 to 19, generated: thousands of archives whose names, links, types and order are hostile, applied into a jail whose outside must
 * not change; and archives with bytes changed, which must be refused or applied, but never do anything else.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyLayer, settleLayer, tarEntries } from '../../runtime/image/layer/index.js';
import { TareError } from '../../runtime/kernel/error.js';
import { archive, folderFd, inFolder, type Made, pieces } from '../image/layer/support.js';
import { facts } from './layers.js';

const ARCHIVES = 10_000;
/** The outside is looked at after so many: when it has changed, it is known which archives can have done it. */
const BATCH = 250;
/** A tmpfs, where a hundred thousand files come and go quickly. */
const SHARED_MEMORY = '/dev/shm';

const part = fc.constantFrom(
  '..',
  '.',
  '',
  'a',
  'b',
  'c',
  '.wh.a',
  '.wh..',
  '.wh...',
  '.wh..wh..opq',
  'victim',
  'secret',
  'a\xff',
  'OUTSIDE',
  'proc',
  'self',
  'fd',
);
const path = fc
  .tuple(fc.constantFrom('', '', '', '/', '../', '../../', './'), fc.array(part, { minLength: 1, maxLength: 5 }))
  .map(([before, parts]) => before + parts.join('/'));
/** Few names, so that entries meet: a link, then what is below it, then what replaces it. */
const name = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'a',
      'b',
      'c',
      'a/b',
      'b/a',
      'a/b/c',
      'c/a',
      'a/victim/file',
      'b/secret',
      'a/.wh.b',
      'b/.wh..wh..opq',
      '.wh.a',
    ),
  },
  { weight: 2, arbitrary: path },
);
const target = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'a',
      'b',
      'a/b',
      '..',
      '../..',
      '../../..',
      '../../secret',
      '/',
      'OUTSIDE',
      'OUTSIDE/secret',
      'OUTSIDE/victim',
      '/proc/self/cwd',
      '/proc/self/root',
    ),
  },
  { weight: 1, arbitrary: path },
);
const attributes: fc.Arbitrary<Record<string, string>> = fc.constantFrom<Record<string, string>>(
  { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' },
  { 'SCHILY.xattr.user.a': 'b' },
  { 'SCHILY.xattr.security.capability': 'no' },
);
const hostile: fc.Arbitrary<Made> = fc.record(
  {
    name,
    type: fc.constantFrom('0', '0', '1', '1', '2', '2', '2', '5', '5', '3', '4', '6', '\0', '7'),
    link: target,
    data: fc.constantFrom('', 'x', 'x'.repeat(600)),
    mode: fc.constantFrom(0o644, 0o4755, 0o7777, 0),
    uid: fc.constantFrom(0, 1, 65_534),
    major: fc.constantFrom(0, 1),
    minor: fc.constantFrom(0, 3),
    pax: fc.oneof(
      { weight: 6, arbitrary: fc.constant<Record<string, string>>({}) },
      { weight: 1, arbitrary: path.map((text): Record<string, string> => ({ path: text })) },
      { weight: 1, arbitrary: target.map((text): Record<string, string> => ({ linkpath: text })) },
      { weight: 1, arbitrary: attributes },
    ),
  },
  { requiredKeys: ['name', 'type', 'link'] },
);

describe('layers that are generated to do harm', () => {
  it(
    `change nothing outside: ${ARCHIVES} of them`,
    () =>
      inFolder(async (unused, folder) => {
        rmSync(unused, { recursive: true });
        const outside = join(folder, 'a');
        mkdirSync(join(outside, 'victim'), { recursive: true });
        writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
        writeFileSync(join(outside, 'victim/file'), 'untouched');
        const root = join(outside, 'b/root');
        mkdirSync(root, { recursive: true });
        // Made once: that a layer's folder comes and goes is no change of what is around it.
        mkdirSync(join(folder, 'kept'));
        const told = (text: string | Buffer) =>
          text.toString('latin1' as BufferEncoding).replaceAll('OUTSIDE', outside);
        let [applied, refused] = [0, 0];
        const seed = Number(process.env.TARE_FUZZ_SEED ?? Date.now() % 2 ** 31);
        for (let done = 0; done < ARCHIVES; done += BATCH) {
          const layers = fc.sample(fc.array(hostile, { minLength: 1, maxLength: 8 }), {
            numRuns: BATCH,
            seed: seed + done,
          });
          const before = facts(folder);
          for (const [i, layer] of layers.entries()) {
            const bytes = archive(
              ...layer.map((made) => ({
                ...made,
                name: Buffer.from(told(made.name), 'latin1'),
                link: Buffer.from(told(made.link ?? ''), 'latin1'),
              })),
            );
            const place = join(root, String(i));
            mkdirSync(place);
            using target = folderFd(place);
            try {
              const { unsettled } = await applyLayer(pieces(bytes), 'none', target.fd);
              settleLayer(unsettled, target.fd, []);
              applied++;
            } catch (error) {
              // The machine's memory was short for a moment, as other tests fill it: neither applied nor refused.
              if (error instanceof TareError && error.syscall?.errno === 'ENOMEM') continue;
              if (!(error instanceof TareError) || error.code !== 'protocol')
                throw new Error(`seed ${seed + done}, archive ${i}: ${error}`, { cause: error });
              refused++;
            }
          }
          expect(
            [...facts(folder)].filter((line) => !before.has(line)),
            `seed ${seed + done}`,
          ).toEqual([]);
          expect(facts(folder).size, `seed ${seed + done}`).toBe(before.size);
          rmSync(root, { recursive: true });
          mkdirSync(root);
        }
        // Both ends are tried, not one of them alone.
        expect(Math.min(applied, refused)).toBeGreaterThan(ARCHIVES / 20);
      }, SHARED_MEMORY),
    300_000,
  );

  it('and bytes that are changed: the reader ends, with an archive or a refusal', async () => {
    const good = archive(
      { name: 'a', data: 'x'.repeat(700), pax: { mtime: '1.5', 'SCHILY.xattr.user.a': 'b' } },
      { name: 'sparse', data: 'xy', pax: { 'GNU.sparse.realsize': '1000', 'GNU.sparse.map': '1,1,900,1' } },
      { name: 'long', type: 'L', data: `${'n'.repeat(300)}\0` },
      { name: 'n' },
      {
        name: 's',
        type: 'S',
        data: 'abc',
        raw: { 257: 'ustar  \0', 386: '00000000005\x0000000000003\0', 483: '00000000100\0' },
      },
    );
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(good.length),
        fc.boolean(),
        async (changes, cut, sum) => {
          const bytes = Buffer.from(good.subarray(0, cut % 3 === 0 ? cut : good.length));
          for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
          if (sum) mendSums(bytes);
          try {
            for await (const { chunks, size } of tarEntries(pieces(bytes, 333))) {
              expect(size).toBeGreaterThanOrEqual(0);
              for await (const chunk of chunks()) expect(chunk.length).toBeGreaterThan(0);
            }
          } catch (error) {
            expect(error).toMatchObject({
              name: 'TareError',
              code: 'protocol',
              message: expect.stringMatching(/at byte \d+\)$/),
            });
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

/** Checksums that fit again, so that what is behind them is tried. */
function mendSums(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(' ', 148, 156);
    block.write(
      `${block
        .reduce((total, byte) => total + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0`,
      148,
      'latin1',
    );
  }
}
