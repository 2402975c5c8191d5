/**
 * A step as text, the way strace would show it: `openat2(rootfs, "dev", O_PATH|O_CLOEXEC, 0, RESOLVE_IN_ROOT) = dev`.
 * Slots go by their names, numbers by the names of their flags, long data by its size.
 */
import { showFor } from './flags.js';
import { KINDS } from './operands.js';
import type { Slot, Step } from './plan.js';
import { isSlot } from './slot-states.js';
import type { KindInfo } from './steps.gen.js';

/** Strings and lists longer than this are cut, with an ellipsis, unless everything is asked for. */
const MAX_STRING = 64;
const MAX_LIST = 6;

export interface SymbolOptions {
  /** Cuts nothing. */
  readonly full?: boolean;
}

/** Name, arguments, result: the parts of a line of strace. The result is empty where a step fills no slot. */
export function stepText(step: Step, options: SymbolOptions = {}): { name: string; args: string; result: string } {
  const info = KINDS.get(step.kind);
  const inputs = step.inputs as Readonly<Record<string, unknown>>;
  const args = (info?.inputs ?? []).map((input) => show(step, input, inputs[input.name], options));
  const outputs = (info?.outputs ?? []).map(
    (output) => (step.outputs as Readonly<Record<string, Slot | undefined>>)[output.name],
  );
  const named = outputs.filter((slot) => slot !== undefined).map(slotText);
  return { name: step.kind, args: args.join(', '), result: named.join(', ') };
}

/** `openat2(rootfs, "dev", O_PATH, 0, 0) = dev`, preceded by its condition: `if kcore: `. */
export function formatStep(step: Step, options: SymbolOptions = {}): string {
  const { name, args, result } = stepText(step, options);
  return `${conditionText(step)}${name}(${args})${result && ` = ${result}`}`;
}

/** `if a unless b: `, or nothing; and the errnos that it may fail with, `may ENOENT: `. */
export function conditionText(step: Step): string {
  const parts = [
    ...(step.guardIf ? [`if ${slotText(step.guardIf)}`] : []),
    ...(step.guardUnless ? [`unless ${slotText(step.guardUnless)}`] : []),
    ...(step.tolerate?.length ? [`may ${step.tolerate.join(' or ')}`] : []),
  ];
  return parts.length > 0 ? `${parts.join(', ')}: ` : '';
}

/** A slot's name as one word. */
export function slotText(slot: Slot): string {
  return clean(slot.name.replace(/\s+/g, '-'));
}

/** Text for a terminal: whatever it might obey, or hide, is escaped. Plans may hold text of hostile origin. */
export function clean(text: string): string {
  return text.replace(UNSAFE, escaped);
}

function show(step: Step, input: KindInfo['inputs'][number], value: unknown, options: SymbolOptions): string {
  if (isSlot(value)) return slotText(value);
  switch (input.letter) {
    case 'd':
      return value === 'cwd' ? 'AT_FDCWD' : '-1';
    case 'p':
    case 'l':
      return String(value);
    case 's':
      // fsconfig(2) takes NULL where a command has no key or value.
      return step.kind === 'fsconfig' && value === '' ? 'NULL' : quote(String(value), options);
    case 'v':
      return showList(value as readonly string[], options);
    case 'b':
      return showBytes(step, value as Uint8Array, options);
    default: {
      const number = BigInt(value as number | bigint);
      return showFor(step.kind, input.name)?.(number) ?? String(number);
    }
  }
}

function showList(list: readonly string[], options: SymbolOptions): string {
  const shown = options.full ? list : list.slice(0, MAX_LIST);
  const rest = list.length - shown.length;
  return `[${shown.map((text) => quote(text, options)).join(', ')}${rest > 0 ? `, ... ${rest} more` : ''}]`;
}

/** Gids and sets as numbers, a BPF program by its length, and text where it is text: what is written to files of /proc and /sys. */
function showBytes(step: Step, bytes: Uint8Array, options: SymbolOptions): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (step.kind === 'setgroups' && bytes.length % 4 === 0) {
    return `[${Array.from({ length: bytes.length / 4 }, (_, i) => buffer.readUInt32LE(4 * i)).join(', ')}]`;
  }
  if (step.kind === 'sched_setaffinity' || step.kind === 'set_mempolicy') return showSet(bytes);
  if (step.kind === 'seccomp' || step.kind === 'cgroup_device') return `<${bytes.length / 8} instructions>`;
  const text = buffer.toString('latin1');
  if (bytes.length <= 256 && /^[\t\n\x20-\x7e]*$/.test(text)) return quote(text, options);
  return `<${bytes.length} bytes>`;
}

/** A bit set as `[0-3, 7]`, as strace shows it. */
function showSet(bytes: Uint8Array): string {
  const runs: string[] = [];
  const has = (number: number) => ((bytes[number >> 3] ?? 0) & (1 << (number & 7))) !== 0;
  for (let number = 0; number < bytes.length * 8; number++) {
    if (!has(number)) continue;
    const first = number;
    while (has(number + 1)) number++;
    runs.push(first === number ? `${first}` : `${first}-${number}`);
  }
  return `[${runs.join(', ')}]`;
}

/** In double quotes, cleaned. */
export function quote(text: string, options: SymbolOptions = {}): string {
  const cut = !options.full && text.length > MAX_STRING ? text.slice(0, MAX_STRING) : text;
  return `"${clean(cut.replace(/["\\]/g, '\\$&'))}"${cut === text ? '' : '...'}`;
}

// Control characters, zero-width characters and those that turn the direction of text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' };

function escaped(character: string): string {
  return SHORT[character] ?? `\\u{${(character.codePointAt(0) as number).toString(16)}}`;
}
