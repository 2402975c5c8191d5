/**
 * Values as D-Bus carries them: by a signature, a letter a type, each value aligned to its size. What systemd's interface needs of
 * it, little endian. https://dbus.freedesktop.org/doc/dbus-specification.html, "Marshaling (Wire Format)".
 */
import { TareError } from '../error.js';

/** A value with its type: D-Bus' `v`. */
export interface Variant {
  readonly signature: string;
  readonly value: DBusValue;
}

/** Structs and arrays are lists; unsigned 64 bit numbers may be bigints; an array of bytes is a Uint8Array. */
export type DBusValue = number | bigint | string | boolean | Uint8Array | Variant | readonly DBusValue[];

/** Lists of values of these types, one after the other. @throws TareError `internal` for a value that is not of its type */
export function marshal(signature: string, values: readonly DBusValue[]): Buffer {
  const writer = new Writer();
  for (const [i, type] of split(signature).entries()) writer.write(type, values[i] as DBusValue);
  return writer.bytes();
}

/** The way back. @throws TareError `protocol` for bytes that end too early, or are of types that systemd does not send us */
export function unmarshal(signature: string, bytes: Buffer): DBusValue[] {
  const reader = new Reader(bytes);
  return split(signature).map((type) => reader.read(type));
}

/** `sa(sv)u` is `s`, `a(sv)` and `u`. */
function split(signature: string): string[] {
  const types: string[] = [];
  for (let rest = signature; rest !== ''; ) {
    const end = endOfType(rest);
    types.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return types;
}

function endOfType(signature: string): number {
  if (signature[0] === 'a') return 1 + endOfType(signature.slice(1));
  if (signature[0] !== '(') return 1;
  let at = 1;
  while (at < signature.length && signature[at] !== ')') at += endOfType(signature.slice(at));
  return at + 1;
}

const ALIGNMENT: Readonly<Record<string, number>> = {
  y: 1,
  g: 1,
  v: 1,
  b: 4,
  i: 4,
  u: 4,
  s: 4,
  o: 4,
  a: 4,
  t: 8,
  x: 8,
};

function alignmentOf(type: string): number {
  return type[0] === '(' ? 8 : (ALIGNMENT[type[0] ?? ''] ?? 1);
}

class Writer {
  readonly #parts: Buffer[] = [];
  #size = 0;

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  write(type: string, value: DBusValue): void {
    this.#align(alignmentOf(type));
    if (type[0] === 'a') this.#array(type.slice(1), value);
    else if (type[0] === '(')
      for (const [i, item] of split(type.slice(1, -1)).entries())
        this.write(item, (value as readonly DBusValue[])[i] as DBusValue);
    else if (type === 'v') {
      const variant = value as Variant;
      this.write('g', variant.signature);
      this.write(variant.signature, variant.value);
    } else this.#add(basic(type, value));
  }

  /** Its length counts from the first item: the padding before that is not part of it. */
  #array(item: string, value: DBusValue): void {
    const length = Buffer.alloc(4);
    this.#add(length);
    this.#align(alignmentOf(item));
    const begin = this.#size;
    if (value instanceof Uint8Array) this.#add(Buffer.from(value));
    else for (const each of value as readonly DBusValue[]) this.write(item, each);
    length.writeUInt32LE(this.#size - begin);
  }

  #align(to: number): void {
    this.#add(Buffer.alloc((to - (this.#size % to)) % to));
  }

  #add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }
}

/** A value of a type that holds no other. */
function basic(type: string, value: DBusValue): Buffer {
  switch (type) {
    case 'y':
      return Buffer.of(Number(value));
    case 'b':
    case 'u':
      return number(Number(value));
    case 'i':
      return number(Number(value) >>> 0);
    case 't': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(value as number | bigint));
      return bytes;
    }
    case 's':
    case 'o': {
      const text = Buffer.from(`${value}\0`);
      return Buffer.concat([number(text.length - 1), text]);
    }
    case 'g': {
      const text = Buffer.from(`${value}\0`);
      return Buffer.concat([Buffer.of(text.length - 1), text]);
    }
    default:
      throw new TareError('internal', `D-Bus type ${type} is not written here`);
  }
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(type: string): DBusValue {
    this.#at += (alignmentOf(type) - (this.#at % alignmentOf(type))) % alignmentOf(type);
    switch (type[0]) {
      case 'y':
        return this.#take(1).readUInt8();
      case 'b':
      case 'u':
        return this.#take(4).readUInt32LE();
      case 'i':
        return this.#take(4).readInt32LE();
      case 't':
        return this.#take(8).readBigUInt64LE();
      case 's':
      case 'o':
        return this.#text(this.#take(4).readUInt32LE());
      case 'g':
        return this.#text(this.#take(1).readUInt8());
      case 'v': {
        const signature = this.read('g') as string;
        return { signature, value: this.read(signature) };
      }
      case '(':
        return split(type.slice(1, -1)).map((item) => this.read(item));
      case 'a': {
        const length = this.#take(4).readUInt32LE();
        const item = type.slice(1);
        this.#at += (alignmentOf(item) - (this.#at % alignmentOf(item))) % alignmentOf(item);
        const end = this.#at + length;
        const items: DBusValue[] = [];
        while (this.#at < end) items.push(this.read(item));
        return items;
      }
      default:
        throw new TareError('protocol', `systemd sent a value of the D-Bus type ${type}, which is not expected`);
    }
  }

  #text(length: number): string {
    return this.#take(length + 1).toString('utf8', 0, length);
  }

  #take(size: number): Buffer {
    const end = this.#at + size;
    if (end > this.#bytes.length) throw new TareError('protocol', 'a message of systemd ends too early');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
