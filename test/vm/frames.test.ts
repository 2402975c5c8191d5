import { Duplex, PassThrough, Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import {
  encodeFrame,
  encodeOpen,
  FRAME_MAX_PAYLOAD,
  FRAME_WINDOW,
  FrameDecoder,
  FrameType,
} from '../../runtime/vm/frames.js';
import { AgentLink } from '../../runtime/vm/link.js';
import { exec } from '../../runtime/vm/requests.js';

const hello = (version = 1, window = FRAME_WINDOW) => encodeFrame(FrameType.hello, 0, 0, u32(version, window));
const end = (channel: number) => encodeFrame(FrameType.end, 0, channel, u32(0, 0));

const WAIT = { timeout: 30_000 };

describe('the decoder', () => {
  it('finds the same frames however the stream is cut', () => {
    const frames = [
      hello(),
      encodeFrame(FrameType.data, 1, 7, Buffer.from('abc')),
      encodeFrame(FrameType.started, 0, 7, u32(42)),
      end(7),
    ];
    const stream = Buffer.concat(frames);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: stream.length }), { maxLength: 20 }), (cuts) => {
        const decoder = new FrameDecoder();
        const found = [];
        const at = [0, ...[...cuts].sort((a, b) => a - b), stream.length];
        for (let i = 1; i < at.length; i++)
          for (const frame of decoder.push(stream.subarray(at[i - 1], at[i]))) found.push(frame.type);
        expect(found).toEqual(['hello', 'data', 'started', 'end']);
      }),
    );
  });

  it('answers any bytes with frames or one protocol error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 30 }), (chunks) => {
        const decoder = new FrameDecoder();
        try {
          for (const chunk of chunks) decoder.push(Buffer.from(chunk));
        } catch (error) {
          expect(error).toBeInstanceOf(TareError);
          expect((error as TareError).code).toBe('protocol');
        }
      }),
      { numRuns: 500 },
    );
  });

  it('answers plausible headers with any payload in the same way', () => {
    const frame = fc
      .tuple(fc.integer({ min: 0, max: 16 }), fc.nat(255), fc.nat(3), fc.uint8Array({ maxLength: 100 }))
      .map(([type, flags, channel, payload]) => encodeFrame(type, flags, channel, payload));
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 10 }), (frames) => {
        try {
          accepted += new FrameDecoder().push(Buffer.concat(frames)).length;
        } catch (error) {
          expect((error as TareError).code).toBe('protocol');
        }
      }),
      { numRuns: 500 },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  const lies: [string, Buffer][] = [
    ['an oversized frame, by its header alone', header(FrameType.data, 1, FRAME_MAX_PAYLOAD + 1)],
    ['an endless frame', header(FrameType.data, 1, 0xffffffff)],
    ['a reserved field that is set', Buffer.from([6, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0])],
    ['type 0', header(0, 0, 0)],
    ['an unknown type', header(99, 0, 0)],
    ['a frame that only the host sends', encodeFrame(FrameType.open, 0, 1, encodeOpen({ kind: 'exec' }))],
    ['an end that is too short', encodeFrame(FrameType.end, 0, 1, Buffer.alloc(4))],
    ['a start that is too long', encodeFrame(FrameType.started, 0, 1, Buffer.alloc(8))],
    ['data of no bytes, which would cost no credit', encodeFrame(FrameType.data, 1, 1)],
    ['activity on a channel', encodeFrame(FrameType.activity, 1, 5)],
  ];
  for (const [what, bytes] of lies)
    it(`refuses ${what}`, () => {
      expect(() => new FrameDecoder().push(bytes)).toThrowError(expect.objectContaining({ code: 'protocol' }));
    });
});

describe('requests', () => {
  it('that waited for a channel longer than anybody wants the answer are hung up at once', async () => {
    const { link, agent, sent } = connected();
    const ended = { end: () => undefined };
    const open = await Promise.all(
      Array.from({ length: 100 }, () => link.open({ kind: 'stat', strings: ['/'] }, ended)),
    );
    await expect(exec(link, ['true'], { timeoutMs: 10 })).rejects.toMatchObject({ code: 'timeout' });
    agent.write(end((open[0] as { id: number }).id));
    await vi.waitFor(() => {
      const last = sent().at(-1);
      expect(last).toMatchObject({ type: FrameType.close });
      expect(open.map(({ id }) => id)).not.toContain(last?.channel);
    }, WAIT);
  });

  it('refuses a NUL byte and more than a frame holds', () => {
    expect(() => encodeOpen({ kind: 'read', strings: ['/etc/passwd\0.png'] })).toThrowError(/NUL byte/);
    expect(() => encodeOpen({ kind: 'exec', c: 1, strings: ['x'.repeat(70000)] })).toThrowError(/64 KiB/);
  });
});

describe('attack 33: an agent that lies', () => {
  const attacks: [string, (channel: number) => Buffer[]][] = [
    ['malformed bytes', () => [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ['a channel that nobody opened', () => [encodeFrame(FrameType.data, 1, 4711, Buffer.from('x'))]],
    ['a second end', (channel) => [end(channel), end(channel)]],
    [
      'two starts',
      (channel) => [
        encodeFrame(FrameType.started, 0, channel, u32(1)),
        encodeFrame(FrameType.started, 0, channel, u32(2)),
      ],
    ],
    ['credit beyond the window', (channel) => [encodeFrame(FrameType.credit, 0, channel, u32(1))]],
    ['an answer to what nobody asked', () => [encodeFrame(FrameType.awake, 0, 0)]],
    ['another version', () => [hello(2)]],
  ];
  for (const [what, bytes] of attacks)
    it(`${what}: the machine is dropped, its callers get an error`, async () => {
      const { link, agent } = connected();
      const channelEnded = new Promise<TareError | undefined>((resolve) => {
        link
          .open({ kind: 'exec', c: 1, strings: ['', 'true'] }, { end: (_, __, gone) => resolve(gone) })
          .then((channel) => {
            for (const frame of bytes(channel.id)) agent.write(frame);
          });
      });
      expect((await link.ended).code).toBe('protocol');
      const gone = await channelEnded;
      if (what !== 'a second end') expect(gone?.code).toBe('protocol');
      await expect(link.open({ kind: 'stat', strings: ['/'] }, { end: () => undefined })).rejects.toMatchObject({
        code: 'protocol',
      });
    });

  it('a flood to a reader that does not read stops at the window', async () => {
    const { link, agent } = connected();
    let received = 0;
    const channel = await link.open(
      { kind: 'pty', strings: [''] },
      { data: (_, data) => (received += data.length), end: () => undefined },
    );
    channel.pause();
    const chunk = Buffer.alloc(FRAME_MAX_PAYLOAD, 'x');
    agent.write(encodeFrame(FrameType.data, 1, channel.id, chunk));
    agent.write(encodeFrame(FrameType.data, 1, channel.id, chunk));
    await new Promise((wake) => setImmediate(wake));
    expect(received).toBe(0);
    agent.write(encodeFrame(FrameType.data, 1, channel.id, Buffer.from('one byte too many')));
    expect((await link.ended).message).toMatch(/more than its window/);
  });
});

/** A link whose agent is played by the test. */
function connected() {
  const agent = new PassThrough();
  const written: Buffer[] = [];
  const writable = new Writable({
    write: (chunk, _encoding, done) => {
      written.push(chunk);
      done();
    },
  });
  const link = new AgentLink(Duplex.from({ readable: agent, writable }));
  return { link, agent, sent: () => heads(Buffer.concat(written)) };
}

/** Type and channel of each frame: what the host sends, the host's own decoder would refuse. */
function heads(bytes: Buffer): { type: number; channel: number }[] {
  if (bytes.length === 0) return [];
  const head = { type: bytes.readUInt8(0), channel: bytes.readUInt32LE(4) };
  return [head, ...heads(bytes.subarray(12 + bytes.readUInt32LE(8)))];
}

function header(type: number, channel: number, length: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = type;
  bytes.writeUInt32LE(channel, 4);
  bytes.writeUInt32LE(length, 8);
  return bytes;
}

function u32(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [i, n] of numbers.entries()) bytes.writeUInt32LE(n, i * 4);
  return bytes;
}
