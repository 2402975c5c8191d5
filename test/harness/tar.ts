/**
 * Tar archives from entries in memory, written plainly and without the code under test, so that they can also be wrong on purpose: names of
 * any bytes, PAX records of one's own, sizes that are not true. pax(1), "ustar Interchange Format"
 */

export interface TarEntry {
  readonly path: string | Uint8Array;
  /** `file` unless told; `directory` for a path that ends in a slash. Or the letter of the header itself. */
  readonly type?: keyof typeof LETTERS | (string & {});
  /** 0644, of a directory 0755, unless told. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970, perhaps with a fraction. */
  readonly mtime?: number | string;
  readonly content?: string | Uint8Array;
  /** Of a symbolic or a hard link. */
  readonly target?: string | Uint8Array;
  readonly major?: number;
  readonly minor?: number;
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
  /** More PAX records. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>;
  /** What the header says the size is, where that is not the content's. */
  readonly size?: number;
}

/** The whole archive, with its end. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(blocksOf), Buffer.alloc(1024)]);
}

const LETTERS = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const;

const NAME_BYTES = 100;

function blocksOf(entry: TarEntry): Buffer[] {
  const path = Buffer.from(entry.path);
  const target = Buffer.from(entry.target ?? '');
  const content = Buffer.from(entry.content ?? '');
  const mtime = String(entry.mtime ?? 1_700_000_000);
  const pax: Record<string, string | Uint8Array> = {
    ...(path.length > NAME_BYTES && { path }),
    ...(target.length > NAME_BYTES && { linkpath: target }),
    ...(mtime.includes('.') && { mtime }),
    ...((entry.uid ?? 0) > 0o7777777 && { uid: String(entry.uid) }),
    ...((entry.gid ?? 0) > 0o7777777 && { gid: String(entry.gid) }),
    ...Object.fromEntries(Object.entries(entry.xattrs ?? {}).map(([name, value]) => [`SCHILY.xattr.${name}`, value])),
    ...entry.pax,
  };
  const records = Buffer.concat(Object.entries(pax).map(([key, value]) => paxRecord(key, Buffer.from(value))));
  const extended =
    records.length === 0
      ? []
      : [header({ path: Buffer.from('PaxHeaders/x'), letter: 'x', size: records.length }), padded(records)];
  const isFolder = entry.type === undefined && path.at(-1) === '/'.charCodeAt(0);
  const type = entry.type ?? (isFolder ? 'directory' : 'file');
  const letter = type in LETTERS ? LETTERS[type as keyof typeof LETTERS] : type;
  const own = header({
    path,
    letter,
    size: entry.size ?? content.length,
    mode: entry.mode ?? (letter === '5' ? 0o755 : 0o644),
    uid: Math.min(entry.uid ?? 0, 0o7777777),
    gid: Math.min(entry.gid ?? 0, 0o7777777),
    mtime: Math.max(Math.floor(Number(mtime)), 0),
    target,
    major: entry.major ?? 0,
    minor: entry.minor ?? 0,
  });
  return [...extended, own, padded(content)];
}

interface Header {
  readonly path: Buffer;
  readonly letter: string;
  readonly size: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly target?: Buffer;
  readonly major?: number;
  readonly minor?: number;
}

function header(of: Header): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  block.set(of.path.subarray(0, NAME_BYTES), 0);
  octal(of.mode ?? 0o644, 100, 8);
  octal(of.uid ?? 0, 108, 8);
  octal(of.gid ?? 0, 116, 8);
  octal(of.size, 124, 12);
  octal(of.mtime ?? 0, 136, 12);
  block.write(of.letter, 156, 'latin1');
  block.set((of.target ?? Buffer.alloc(0)).subarray(0, NAME_BYTES), 157);
  block.write('ustar\x0000', 257, 'latin1');
  octal(of.major ?? 0, 329, 8);
  octal(of.minor ?? 0, 337, 8);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `LENGTH KEY=VALUE\n`, where the length is that of the whole, its own digits among it. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + String(rest.length).length;
  if (rest.length + String(length).length !== length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}
