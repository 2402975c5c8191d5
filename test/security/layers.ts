/** What the attacks by layers share: a jail whose outside must not change, and the naive way of applying a layer, by paths. */
import { chmodSync, linkSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { tarEntries } from '../../runtime/image/layer/index.js';
import { apply, archive, inFolder, type Made, pieces } from '../image/layer/support.js';

/** Each entry may say `OUTSIDE`, which becomes the absolute path of the folder around the layer's. */
export type Layer = readonly Made[];

export interface Outcome {
  /** What Tare said when it refused; undefined when it applied the layer. */
  readonly refused: string | undefined;
  /** The names of what is in the layer's folder. */
  readonly inside: readonly string[];
  /** What became of the outside, a line a difference. */
  readonly changes: readonly string[];
}

/** Applies the layer in a jail with Tare: nothing around it may change. */
export function attack(layer: Layer): Promise<Outcome> {
  return inJail(layer, async (bytes, root) => {
    try {
      await apply(bytes, root);
      return undefined;
    } catch (error) {
      expect(error).toMatchObject({ code: 'protocol' });
      return (error as Error).message;
    }
  });
}

/** The same by paths that are joined, as a first attempt would: it shows that the attack is one. */
export function naively(layer: Layer): Promise<Outcome> {
  return inJail(layer, async (bytes, root) => {
    for await (const entry of tarEntries(pieces(bytes))) {
      const path = join(root, entry.name.toString());
      const base = path.slice(path.lastIndexOf('/') + 1);
      if (base.startsWith('.wh.')) rmSync(join(dirname(path), base.slice(4)), { recursive: true, force: true });
      else if (entry.type === 'directory') mkdirSync(path, { recursive: true });
      else if (entry.type === 'symlink') symlinkSync(entry.linkName, path);
      else if (entry.type === 'link') linkSync(join(root, entry.linkName.toString()), path);
      else writeFileSync(path, 'attack');
      if (entry.type === 'file' && !base.startsWith('.wh.')) chmodSync(path, entry.mode);
    }
    return undefined;
  });
}

async function inJail(
  layer: Layer,
  act: (bytes: Buffer, root: string) => Promise<string | undefined>,
): Promise<Outcome> {
  return inFolder(async (unused, folder) => {
    rmSync(unused, { recursive: true });
    const root = join(folder, 'a/b/root');
    mkdirSync(root, { recursive: true });
    mkdirSync(join(folder, 'a/victim'));
    writeFileSync(join(folder, 'a/secret'), 'secret', { mode: 0o600 });
    writeFileSync(join(folder, 'a/victim/file'), 'untouched');
    const before = facts(folder);
    const told = (text: string | Buffer | undefined) =>
      Buffer.from((text ?? '').toString().replaceAll('OUTSIDE', join(folder, 'a')));
    const bytes = archive(...layer.map((made) => ({ ...made, name: told(made.name), link: told(made.link) })));
    const refused = await act(bytes, root);
    const after = facts(folder);
    const inside = namesIn(root).sort();
    const changes = [...before, ...after].filter((line) => !before.has(line) || !after.has(line));
    return { refused, inside, changes };
  });
}

/** Node's own `recursive` follows symbolic links. */
function namesIn(folder: string, before = ''): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => [
    `${before}${entry.name}`,
    ...(entry.isDirectory() ? namesIn(join(folder, entry.name), `${before}${entry.name}/`) : []),
  ]);
}

/**
 * A line each for all that is in a folder, but for what is in one called `root`. Whatever is done to a file changes its ctime, which nobody can
 * set: stat(2).
 */
export function facts(folder: string): Set<string> {
  const lines = new Set<string>();
  const visit = (path: string) => {
    const { ino, mode, uid, gid, nlink, size, ctimeNs } = lstatSync(path, { bigint: true });
    if (path.endsWith('/root')) return;
    lines.add([path.slice(folder.length), ino, mode.toString(8), uid, gid, nlink, size, ctimeNs].join(' '));
    if ((mode & 0o170000n) === 0o40000n) for (const name of readdirSync(path)) visit(join(path, name));
  };
  visit(folder);
  return lines;
}
