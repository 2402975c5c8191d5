/** zstd, as somebody sends it who means harm: frames that hold nothing, that want memory, that are old, or are cut off. RFC 8878 */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { decompressed } from '../../../runtime/image/layer/compression.js';
import { native } from '../../../runtime/kernel/addon.js';

async function packed(data: Uint8Array): Promise<Buffer> {
  const out = Buffer.alloc(data.length + 4096);
  const { produced } = await native.zstdCompressor(3).step(data, out, true);
  return out.subarray(0, produced);
}

/** @param size of the pieces that it comes in */
async function unpacked(data: Uint8Array, size = data.length): Promise<Buffer> {
  const pieces = [];
  for (let at = 0; at < data.length; at += size) pieces.push(data.subarray(at, at + size));
  const all: Uint8Array[] = [];
  for await (const chunk of decompressed(Readable.from(pieces), 'zstd')) all.push(chunk);
  return Buffer.concat(all);
}

/** Skippable, and holds nothing. RFC 8878, section 3.1.2 */
const SKIPPED = Buffer.from('5e2a4d1800000000', 'hex');
/** A frame of no bytes: single segment, content size 0, one last raw block. */
const NOTHING = Buffer.from('28b52ffd2000010000', 'hex');

describe('frames', () => {
  it.each([1 << 20, 3 << 20, (1 << 20) + 1, (1 << 20) - 1, 0])('of %i bytes are whole', async (size) => {
    const data = Buffer.alloc(size, 'tare');
    expect((await unpacked(await packed(data))).equals(data)).toBe(true);
  });

  it('are read one after the other, also where some are to be skipped or hold nothing, wherever the pieces end', async () => {
    const data = Buffer.from('what it holds');
    const whole = Buffer.concat([SKIPPED, await packed(data), NOTHING, SKIPPED, await packed(data), SKIPPED]);
    for (const size of [1, 2, 3, 7, whole.length])
      expect(`${await unpacked(whole, size)}`, `${size}`).toBe(`${data}${data}`);
  });

  it.each([
    ['skipped', SKIPPED],
    ['empty', NOTHING],
  ])('that hold nothing (%s) do not cost a step each', async (_, frame) => {
    const many = Buffer.alloc(frame.length * 10_000, frame);
    const { consumed, left } = await native.zstdDecompressor(27).step(many, Buffer.alloc(100), false);
    expect({ consumed, left }).toEqual({ consumed: many.length, left: 0 });
  });

  it.each(['22', '23', '24', '25', '26', '27'])(
    'of the forms before 1.0 (%s) are refused after one of today',
    async (version) => {
      const old = Buffer.from(`${version}b52ffd0000000000000000`, 'hex');
      const both = Buffer.concat([await packed(Buffer.from('first')), old]);
      for (const size of [1, both.length])
        await expect(unpacked(both, size)).rejects.toMatchObject({
          code: 'protocol',
          message: expect.stringContaining('no frame of zstd begins here'),
        });
    },
  );

  it('that are cut off are refused', async () => {
    const whole = await packed(Buffer.from('what it holds'.repeat(100)));
    for (let size = 1; size < whole.length; size++)
      await expect(unpacked(whole.subarray(0, size)), `${size}`).rejects.toMatchObject({ code: 'protocol' });
  });

  it('that want a window of more than 128 MiB, or a dictionary, are refused', async () => {
    // Frame header: a window descriptor of exponent 18, which is 2^28 bytes; then of a dictionary's id.
    const window = Buffer.from('28b52ffd0090010000', 'hex');
    const dictionary = Buffer.from('28b52ffd210100010000', 'hex');
    for (const frame of [window, dictionary]) await expect(unpacked(frame)).rejects.toMatchObject({ code: 'protocol' });
  });
});
