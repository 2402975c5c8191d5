/**
 * The host's side of native/agent/frames.h. What comes from a machine is hostile: every length, type and payload is checked
 * here, before anybody acts on it, and memory is bounded by one frame. A violation is a TareError `protocol`; the caller drops
 * the machine.
 */
import { TareError } from '../kernel/error.js';

export const FRAME_VERSION = 1;
export const FRAME_HEADER = 12;
export const FRAME_MAX_PAYLOAD = 65536;
export const FRAME_WINDOW = 128 * 1024;

export const FrameType = {
  hello: 1,
  wake: 2,
  awake: 3,
  open: 4,
  started: 5,
  data: 6,
  eof: 7,
  credit: 8,
  resize: 9,
  signal: 10,
  close: 11,
  end: 12,
  activity: 13,
  poweroff: 14,
} as const;

export const OpenKind = { pty: 1, exec: 2, read: 3, readlink: 4, readdir: 5, stat: 6, write: 7, plan: 8 } as const;
export type OpenKindName = keyof typeof OpenKind;

/** What an agent may say, with the numbers taken out of the payload. */
export type AgentFrame =
  | { type: 'hello'; version: number; window: number }
  | { type: 'awake' }
  | { type: 'started'; channel: number; pid: number }
  | { type: 'data'; channel: number; stream: number; data: Buffer }
  | { type: 'credit'; channel: number; bytes: number }
  | { type: 'end'; channel: number; status: number; errno: number }
  | { type: 'activity'; processes: boolean; mounts: boolean };

/** Puts frames together from the chunks of a stream. `push` returns those that became whole, and throws at the first violation. */
export class FrameDecoder {
  private pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): AgentFrame[] {
    const data = this.pending.length > 0 ? Buffer.concat([this.pending, chunk]) : chunk;
    const frames: AgentFrame[] = [];
    let at = 0;
    while (data.length - at >= FRAME_HEADER) {
      const length = checkHeader(data, at);
      if (data.length - at < FRAME_HEADER + length) break;
      frames.push(parse(data, at, data.subarray(at + FRAME_HEADER, at + FRAME_HEADER + length)));
      at += FRAME_HEADER + length;
    }
    this.pending = Buffer.from(data.subarray(at)); // a copy: a slice would keep the whole chunk alive
    return frames;
  }
}

/** A frame for the agent. */
export function encodeFrame(
  type: number,
  flags: number,
  channel: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  if (payload.length > FRAME_MAX_PAYLOAD) throw new TareError('internal', 'a frame for the agent is too large');
  const frame = Buffer.allocUnsafe(FRAME_HEADER + payload.length);
  frame[0] = type;
  frame[1] = flags;
  frame.writeUInt16LE(0, 2);
  frame.writeUInt32LE(channel, 4);
  frame.writeUInt32LE(payload.length, 8);
  frame.set(payload, FRAME_HEADER);
  return frame;
}

export interface OpenRequest {
  readonly kind: OpenKindName;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly strings?: readonly string[];
}

/** The payload of an OPEN. Throws `usage` for a NUL byte in a string, or for more than a frame holds. */
export function encodeOpen({ kind, a = 0, b = 0, c = 0, strings = [] }: OpenRequest): Buffer {
  const head = Buffer.alloc(16);
  for (const [i, value] of [OpenKind[kind], a, b, c].entries()) head.writeUInt32LE(value >>> 0, i * 4);
  if (strings.some((s) => s.includes('\0')))
    throw new TareError('usage', 'a path, argument or variable holds a NUL byte');
  const payload = Buffer.concat([head, ...strings.map((s) => Buffer.from(`${s}\0`))]);
  if (payload.length > FRAME_MAX_PAYLOAD)
    throw new TareError('usage', 'the arguments and the environment are longer than 64 KiB');
  return payload;
}

/** Decoded as soon as the header is there, so that an oversized frame is refused before any of it is kept. */
function checkHeader(data: Buffer, at: number): number {
  const length = data.readUInt32LE(at + 8);
  if (data.readUInt16LE(at + 2) !== 0) throw lie('a frame’s reserved field is not zero');
  if (length > FRAME_MAX_PAYLOAD) throw lie(`a frame of ${length} bytes`);
  return length;
}

const byNumber = new Map<number, keyof typeof FrameType>(
  Object.entries(FrameType).map(([name, number]) => [number, name as keyof typeof FrameType]),
);

function parse(data: Buffer, at: number, payload: Buffer): AgentFrame {
  const name = byNumber.get(data.readUInt8(at));
  const flags = data.readUInt8(at + 1);
  const channel = data.readUInt32LE(at + 4);
  const size = (bytes: number) => {
    if (payload.length !== bytes) throw lie(`${name} with ${payload.length} bytes instead of ${bytes}`);
  };
  const ofMachine = () => {
    if (channel !== 0) throw lie(`${name} on channel ${channel}`);
  };
  switch (name) {
    case 'hello':
      ofMachine();
      size(8);
      return { type: name, version: payload.readUInt32LE(0), window: payload.readUInt32LE(4) };
    case 'awake':
      ofMachine();
      size(0);
      return { type: name };
    case 'activity':
      ofMachine();
      size(0);
      return { type: name, processes: (flags & 1) !== 0, mounts: (flags & 2) !== 0 };
    case 'started':
      size(4);
      return { type: name, channel, pid: payload.readUInt32LE(0) };
    case 'data':
      if (payload.length === 0) throw lie('data of no bytes');
      return { type: name, channel, stream: flags, data: payload };
    case 'credit':
      size(4);
      return { type: name, channel, bytes: payload.readUInt32LE(0) };
    case 'end':
      size(8);
      return { type: name, channel, status: payload.readInt32LE(0), errno: payload.readUInt32LE(4) };
    default:
      throw lie(`a frame of type ${data.readUInt8(at)}, which no agent sends`);
  }
}

/** A violation of the protocol by the machine. */
export function lie(what: string): TareError {
  return new TareError('protocol', `the machine’s agent sent ${what}`);
}
