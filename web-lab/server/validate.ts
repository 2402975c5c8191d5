/**
 * What a page may send, as a zod schema that must agree with the types of ../protocol.ts. Everything is bounded; unknown
 * keys and unknown messages are refused, because a page of this server never sends them.
 */
import * as z from 'zod';
import type { ClientMessage } from '../protocol.js';

/** The message, or one sentence about what is wrong with it. */
export function readMessage(text: string): { message: ClientMessage } | { fault: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: 'the message is not JSON' };
  }
  const result = clientMessage.safeParse(value);
  if (result.success) return { message: result.data };
  const issue = result.error.issues[0];
  return { fault: `the message is not one of the protocol: ${issue?.path.join('.') || 'type'}: ${issue?.message}` };
}

/** A binary frame: the terminal it is for, and the bytes. */
export function readFrame(frame: Buffer): { terminal: number; data: Buffer } | { fault: string } {
  if (frame.length < 5) return { fault: 'a terminal frame has at least five bytes' };
  return { terminal: frame.readUInt32BE(0), data: frame.subarray(4) };
}

/** The name of a chapter or exercise: a folder's name. */
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/);
const id = z.int().min(0).max(0xffffffff);
const columns = z.int().min(2).max(500);
const rows = z.int().min(1).max(300);

const clientMessage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('chapter.open'), chapter: name }),
  z.strictObject({ type: z.literal('chapter.read'), chapter: name }),
  z.strictObject({ type: z.literal('machine.new') }),
  z.strictObject({ type: z.literal('terminal.open'), request: id, columns, rows }),
  z.strictObject({ type: z.literal('terminal.resize'), terminal: id, columns, rows }),
  z.strictObject({
    type: z.literal('terminal.ack'),
    terminal: id,
    bytes: z
      .int()
      .min(0)
      .max(2 ** 30),
  }),
  z.strictObject({ type: z.literal('terminal.close'), terminal: id }),
  z.strictObject({ type: z.literal('exercise.start'), exercise: name }),
  z.strictObject({ type: z.literal('exercise.check') }),
  z.strictObject({ type: z.literal('exercise.solution') }),
  z.strictObject({ type: z.literal('exercise.solve'), columns, rows }),
]) satisfies z.ZodType<ClientMessage>;
