/** SOURCE_DATE_EPOCH: two stores, two days, the same bytes. https://reproducible-builds.org/specs/source-date-epoch/ */

import { readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { makeBuilder } from '../../harness/builder.js';

const EPOCH = 1_700_000_000;

const TEXT = `FROM busybox AS made
WORKDIR /work
RUN mkdir -p deep/er && echo made > deep/er/file && ln -s file deep/er/link && mkfifo fifo && chmod 700 deep
COPY --chown=user dir/ /copied/
FROM busybox
COPY --from=made /work /work
RUN rm /etc/group && echo x >> /etc/passwd
LABEL a=b
CMD ["sh"]
`;

async function digestsOf(options: { args?: ReadonlyMap<string, string>; epoch?: number }, time: number) {
  await using builder = await makeBuilder();
  builder.write({ 'dir/a': 'a', 'dir/b': 'b' });
  for (const name of ['dir/a', 'dir/b', 'dir']) utimesSync(join(builder.folder, 'context', name), time, time);
  const { digest, image } = await builder.build(TEXT, options);
  const tars = image.manifest.layers
    .slice(1)
    .map((layer) => gunzipSync(readFileSync(builder.store.content.path(layer.digest))));
  return { digest, image, tars };
}

it('builds with one epoch are equal, byte for byte, in any store', async () => {
  const now = Date.now() / 1000;
  const first = await digestsOf({ epoch: EPOCH }, now);
  const second = await digestsOf({ args: new Map([['SOURCE_DATE_EPOCH', String(EPOCH)]]) }, now - 86_400);
  expect(second.digest).toBe(first.digest);
  expect(first.image.config.created).toBe('2023-11-14T22:13:20.000Z');
  expect(
    first.image.config.history?.slice(1).every(({ created }) => (created ?? '') <= '2023-11-14T22:13:20.000Z'),
  ).toBe(true);
  expect(first.tars.length).toBeGreaterThan(1);
  for (const tar of first.tars) for (const time of timesIn(tar)) expect(time).toBeLessThanOrEqual(EPOCH);
});

it('builds with another are not', async () => {
  const first = await digestsOf({ epoch: EPOCH }, EPOCH);
  const second = await digestsOf({ epoch: EPOCH + 1 }, EPOCH);
  expect(second.digest).not.toBe(first.digest);
});

/** The times of all entries, from their ustar headers: none of these needs an extended one for its time. */
function timesIn(tar: Buffer): number[] {
  const times: number[] = [];
  for (let at = 0; at < tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(tar.subarray(at + 124, at + 135).toString(), 8);
    times.push(Number.parseInt(tar.subarray(at + 136, at + 147).toString(), 8));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return times;
}
