/** The content store: what is there is whole, what is interrupted goes on, and one of many writes. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { type Digest, digestOf } from '../../../runtime/oci/image/index.js';

let root: string;
let store: ImageStore;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tare-content-'));
  store = await ImageStore.open(root);
});

afterEach(() => {
  store.close();
  rmSync(root, { recursive: true, force: true });
});

const partials = () => readdirSync(join(root, 'ingest'));

describe('a small blob', () => {
  it('is put, read, streamed and listed', async () => {
    using lease = store.lease();
    const descriptor = await store.content.put(Buffer.from('hello'), 'text/plain', lease);
    expect(descriptor).toEqual({ mediaType: 'text/plain', digest: digestOf('hello'), size: 5 });
    expect(store.content.has(descriptor.digest)).toBe(true);
    expect(store.content.size(descriptor.digest)).toBe(5);
    expect(store.content.read(descriptor.digest).toString()).toBe('hello');
    expect(Buffer.concat(await store.content.stream(descriptor.digest).toArray()).toString()).toBe('hello');
    expect([...store.content.list()]).toEqual([{ digest: descriptor.digest, size: 5 }]);
    expect(partials()).toEqual([]);
  });

  it('may be put twice', async () => {
    using lease = store.lease();
    const first = await store.content.put(Buffer.from('x'), 'text/plain', lease);
    expect(await store.content.put(Buffer.from('x'), 'text/plain', lease)).toEqual(first);
  });

  it('may be empty', async () => {
    using lease = store.lease();
    const { digest } = await store.content.put(Buffer.alloc(0), 'text/plain', lease);
    expect(store.content.size(digest)).toBe(0);
  });

  it('is not read when it is damaged, too large or not there', async () => {
    using lease = store.lease();
    const { digest } = await store.content.put(Buffer.from('hello'), 'text/plain', lease);
    expect(() => store.content.read(digest, 4)).toThrow(/5 bytes, and 4 is the most/);
    writeFileSync(store.content.path(digest), 'hallo');
    expect(() => store.content.read(digest)).toThrow(/is damaged/);
    expect(() => store.content.read(digestOf('other'))).toThrow(expect.objectContaining({ code: 'not-found' }));
  });
});

describe('a blob that is known by its digest', () => {
  const data = randomBytes(3 << 20);
  const expected = { digest: digestOf(data), size: data.length };

  it('appears at once and as a whole', async () => {
    using lease = store.lease();
    await using ingest = await store.content.ingest(expected, lease);
    for (let at = 0; at < data.length; at += 100_000) {
      await ingest?.write(data.subarray(at, at + 100_000));
      expect(store.content.has(expected.digest)).toBe(false);
    }
    expect(await ingest?.commit()).toEqual(expected);
    expect(store.content.read(expected.digest).equals(data)).toBe(true);
    expect(partials()).toEqual([]);
    expect(await store.content.ingest(expected, lease)).toBeUndefined();
  });

  it('goes on where it was interrupted, and what is there is hashed again', async () => {
    using lease = store.lease();
    {
      await using ingest = await store.content.ingest(expected, lease);
      await ingest?.write(data.subarray(0, 2_000_000));
    }
    expect(partials()).toHaveLength(1);
    await using ingest = await store.content.ingest(expected, lease);
    expect(ingest?.offset).toBe(2_000_000);
    await ingest?.write(data.subarray(2_000_000));
    await ingest?.commit();
    expect(store.content.read(expected.digest).equals(data)).toBe(true);
  });

  it('begins anew when that is wanted', async () => {
    using lease = store.lease();
    {
      await using ingest = await store.content.ingest(expected, lease);
      await ingest?.write(randomBytes(1000));
    }
    await using ingest = await store.content.ingest(expected, lease);
    await ingest?.restart();
    expect(ingest?.offset).toBe(0);
    await ingest?.write(data);
    await ingest?.commit();
    expect(store.content.read(expected.digest).equals(data)).toBe(true);
  });

  const wrong: [string, Buffer, RegExp][] = [
    ['another content', randomBytes(data.length), /is refused: its content is sha256:/],
    ['too few bytes', data.subarray(0, -1), /is refused: it has 3145727 bytes and not 3145728/],
    ['too many bytes', Buffer.concat([data, Buffer.alloc(1)]), /is longer than the 3145728 bytes/],
  ];
  it.each(wrong)('is refused with %s, and dropped', async (_, bytes, message) => {
    using lease = store.lease();
    const attempt = async () => {
      await using ingest = await store.content.ingest(expected, lease);
      await ingest?.write(bytes);
      await ingest?.commit();
    };
    await expect(attempt()).rejects.toThrow(
      expect.objectContaining({ code: 'protocol', message: expect.stringMatching(message) }),
    );
    expect(store.content.has(expected.digest)).toBe(false);
    expect(partials()).toEqual([]);
  });

  it('is refused when what was there before is not of it', async () => {
    using lease = store.lease();
    {
      await using ingest = await store.content.ingest(expected, lease);
      await ingest?.write(randomBytes(1000));
    }
    const attempt = async () => {
      await using ingest = await store.content.ingest(expected, lease);
      await ingest?.write(data.subarray(ingest.offset));
      await ingest?.commit();
    };
    await expect(attempt()).rejects.toThrow(/is refused: its content is/);
    await attempt();
    expect(store.content.has(expected.digest)).toBe(true);
  });

  it('may be of sha512', async () => {
    using lease = store.lease();
    const digest = `sha512:${createHash('sha512').update(data).digest('hex')}` as Digest;
    await using ingest = await store.content.ingest({ digest, size: data.length }, lease);
    await ingest?.write(data);
    await ingest?.commit();
    expect(store.content.read(digest).equals(data)).toBe(true);
    expect(readFileSync(join(root, 'blobs', 'sha512', digest.slice(7))).equals(data)).toBe(true);
  });

  it('is written by one while another waits', async () => {
    using lease = store.lease();
    const first = await store.content.ingest(expected, lease);
    const second = store.content.ingest(expected, lease);
    await first?.write(data);
    await first?.commit();
    expect(await second).toBeUndefined();
    expect(partials()).toEqual([]);
  });

  it('is gone on with by who waited, when the one who wrote gives up', async () => {
    using lease = store.lease();
    const first = await store.content.ingest(expected, lease);
    const second = store.content.ingest(expected, lease);
    await first?.write(data.subarray(0, 1000));
    await first?.[Symbol.asyncDispose]();
    await using ingest = await second;
    expect(ingest?.offset).toBe(1000);
    await ingest?.write(data.subarray(1000));
    await ingest?.commit();
    expect(store.content.has(expected.digest)).toBe(true);
  });

  it('is not waited for any longer than the caller wants', async () => {
    using lease = store.lease();
    await using _first = await store.content.ingest(expected, lease);
    const stop = new AbortController();
    const second = store.content.ingest(expected, lease, stop.signal);
    stop.abort();
    await expect(second).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
  });
});

describe('a blob whose digest is not known', () => {
  it('gets it when it is whole', async () => {
    using lease = store.lease();
    await using ingest = await store.content.create(lease);
    await ingest.write(Buffer.from('hel'));
    await ingest.write(Buffer.from('lo'));
    expect(await ingest.commit()).toEqual({ digest: digestOf('hello'), size: 5 });
    expect(store.content.has(digestOf('hello'))).toBe(true);
  });

  it('leaves nothing when it does not get there', async () => {
    using lease = store.lease();
    {
      await using ingest = await store.content.create(lease);
      await ingest.write(Buffer.from('hel'));
    }
    expect(partials()).toEqual([]);
  });
});
