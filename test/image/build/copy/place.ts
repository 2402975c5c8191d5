/** A build context and a folder that stands for the root of an image: what is copied from the one to the other. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BuildContext, select } from '../../../../runtime/image/build/context/index.js';
import { type CopyItem, type CopyOptions, copyInto } from '../../../../runtime/image/build/copy/index.js';
import { native } from '../../../../runtime/kernel/addon.js';

export interface Place {
  /** The context. */
  readonly from: string;
  /** The root of the image. */
  readonly root: string;
  copy(sources: readonly string[], destination: string, options?: CopyOptions): Promise<void>;
  items(items: readonly CopyItem[], destination: string, options?: CopyOptions): Promise<void>;
}

export async function withPlace<T>(run: (place: Place) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-copy-'));
  const [from, root] = [join(folder, 'from'), join(folder, 'root')];
  mkdirSync(from);
  mkdirSync(root);
  const items = async (what: readonly CopyItem[], destination: string, options: CopyOptions = {}) => {
    const fd = native.open(root, 0);
    try {
      await copyInto(fd, what, destination, options);
    } finally {
      native.close(fd);
    }
  };
  const copy = async (sources: readonly string[], destination: string, options: CopyOptions = {}) => {
    using context = BuildContext.open(from);
    const selected = sources.flatMap((source) => select(context, source));
    await items(
      selected.map((one) => ({ kind: 'selected', selected: one })),
      destination,
      options,
    );
  };
  try {
    return await run({ from, root, copy, items });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `name: content`, `name/`, `name -> target`. */
export function make(folder: string, ...entries: string[]): void {
  for (const entry of entries) {
    const [, name = '', sign, rest = ''] = /^([^:>]+?)(\/$|: ?| -> |$)(.*)$/.exec(entry) ?? [];
    mkdirSync(sign === '/' ? join(folder, name) : dirname(join(folder, name)), { recursive: true });
    if (sign === ' -> ') symlinkSync(rest, join(folder, name));
    else if (sign !== '/') writeFileSync(join(folder, name), rest);
  }
}

export function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(folder.length + 1);
      if (entry.isDirectory()) return `${name}/`;
      return entry.isSymbolicLink() ? `${name} -> ${readlinkSync(path)}` : `${name}: ${readFileSync(path, 'utf8')}`;
    })
    .sort();
}
