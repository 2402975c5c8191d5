/**
 * A small reader of JSON documents: a schema says what a value must be, gives back a clean copy of it, and notes each
 * fault with its JSON path. Unknown fields are left out of the copy, as the runtime specification wants ("must ignore
 * unknown properties"); unknown values are faults. `null` stands for "not there", as the Go encoders write it.
 */

export interface Fault {
  /** For example `linux.namespaces[2].type`; empty for the document itself. */
  readonly path: string;
  /** Goes on after the path: `must be a string, not 7`. */
  readonly message: string;
}

export interface Schema<T> {
  /** The clean value. When something is wrong it notes a fault, and what it returns is not to be used. */
  read(value: unknown, path: string, faults: Fault[]): T;
}

export type TypeOf<S> = S extends Schema<infer T> ? T : never;

interface Optional<T> extends Schema<T | undefined> {
  readonly optional: true;
}
interface Defaulted<T> extends Schema<T> {
  readonly missing: T;
}
type Fields = Record<string, Schema<unknown>>;
type Flat<T> = { [K in keyof T]: T[K] };
type ObjectOf<F extends Fields> = Flat<
  { readonly [K in keyof F as F[K] extends Optional<unknown> ? never : K]: TypeOf<F[K]> } & {
    readonly [K in keyof F as F[K] extends Optional<unknown> ? K : never]?: TypeOf<F[K]>;
  }
>;

export function object<F extends Fields>(fields: F): Schema<ObjectOf<F>> {
  const entries = Object.entries(fields);
  return {
    read(value, path, faults) {
      const clean: Record<string, unknown> = {};
      if (!isRecord(value)) return fault(faults, path, 'an object', value, clean as ObjectOf<F>);
      for (const [name, schema] of entries) {
        const at = path === '' ? name : `${path}.${name}`;
        // Go writes null for lists, maps and pointers alone: where a number has a default, null is not how it was left out.
        const field = 'missing' in schema ? value[name] : (value[name] ?? undefined);
        if (field !== undefined) clean[name] = schema.read(field, at, faults);
        else if ('missing' in schema) clean[name] = schema.missing;
        else if (!('optional' in schema)) faults.push({ path: at, message: 'is missing' });
      }
      return clean as ObjectOf<F>;
    },
  };
}

/** An object whose names are words of a closed list: another one is an unknown value, not an unknown field. */
export function closed<F extends Fields>(fields: F): Schema<ObjectOf<F>> {
  const [inner, names] = [object(fields), Object.keys(fields)];
  return {
    read(value, path, faults) {
      for (const name of isRecord(value) ? Object.keys(value) : [])
        if (!names.includes(name))
          faults.push({ path: `${path}[${JSON.stringify(name)}]`, message: `is none of ${names.join(', ')}` });
      return inner.read(value, path, faults);
    },
  };
}

export function optional<T>(schema: Schema<T>): Optional<T> {
  return { optional: true, read: (value, path, faults) => schema.read(value, path, faults) };
}

/** A field that is what the specification, or a Go encoder's `omitempty`, means when it is not there. */
export function defaulted<T>(schema: Schema<T>, missing: T): Defaulted<T> {
  return { missing, read: (value, path, faults) => schema.read(value, path, faults) };
}

export function array<T>(item: Schema<T>): Schema<readonly T[]> {
  return {
    read(value, path, faults) {
      if (!Array.isArray(value)) return fault(faults, path, 'a list', value, []);
      return value.map((entry: unknown, i) => item.read(entry, `${path}[${i}]`, faults));
    },
  };
}

/** An object used as a map from any name to one kind of value. */
export function record<T>(item: Schema<T>): Schema<Readonly<Record<string, T>>> {
  return {
    read(value, path, faults) {
      const clean: Record<string, T> = {};
      if (!isRecord(value)) return fault(faults, path, 'an object', value, clean);
      for (const [name, entry] of Object.entries(value)) {
        Object.defineProperty(clean, name, {
          value: item.read(entry, `${path}[${JSON.stringify(name)}]`, faults),
          enumerable: true,
        });
      }
      return clean;
    },
  };
}

/** A string. A NUL byte is refused: the kernel would end the string there, and what was checked would not be what is used. */
export const text: Schema<string> = {
  read(value, path, faults) {
    if (typeof value !== 'string') return fault(faults, path, 'a string', value, '');
    if (value.includes('\0')) faults.push({ path, message: 'must not contain a NUL byte' });
    return value;
  },
};

export const flag: Schema<boolean> = {
  read: (value, path, faults) =>
    typeof value === 'boolean' ? value : fault(faults, path, 'true or false', value, false),
};

/** An integer of a range that doubles can hold. The end may be a power of two above 2^53: such a value is rounded. */
export function integer(min: number, max: number): Schema<number> {
  return mapped(exactInteger(min, max), Number);
}

/**
 * An integer of a range, with all its digits: a bigint where a number could not have them. An end above 2^53 is written as
 * the power of two beyond it, which is also what JSON.parse makes of the largest values.
 */
export function exactInteger(min: number, max: number): Schema<number | bigint> {
  return {
    read(value, path, faults) {
      const whole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
      if (!whole) return fault(faults, path, 'an integer', value, 0);
      const above = typeof value === 'bigint' && !Number.isSafeInteger(max) ? value >= BigInt(max) : value > max;
      if (value < min || above) faults.push({ path, message: `must be from ${min} to ${max}, not ${value}` });
      return value;
    },
  };
}

/** What is read is another thing than what stands there. */
export function mapped<T, U>(schema: Schema<T>, change: (value: T) => U): Schema<U> {
  return { read: (value, path, faults) => change(schema.read(value, path, faults)) };
}

/** One of a closed list of words; `kind` says what they are where they are too many to name. */
export function word<const W extends string>(words: readonly W[], kind?: string): Schema<W> {
  return {
    read(value, path, faults) {
      const found = words.find((w) => w === value);
      if (found !== undefined) return found;
      const wanted = kind ?? `one of ${words.filter((w) => w !== '').join(', ')}`;
      return fault(faults, path, wanted, value, words[0] as W);
    },
  };
}

/** Any value at all, unread; for fields that are refused, or checked, elsewhere. */
export const anything: Schema<unknown> = { read: (value) => value };

function fault<T>(faults: Fault[], path: string, wanted: string, value: unknown, instead: T): T {
  faults.push({ path, message: `must be ${wanted}, not ${show(value)}` });
  return instead;
}

function show(value: unknown): string {
  const json = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
