/**
 * Folders of containers that are gone with the state they belonged to: /run is empty after a reboot, the disk is not. Each folder says whose it is,
 * so that those of another state root are left alone.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeOwnTree } from '../../container/index.js';
import { dataRoot } from '../../kernel/places.js';

/** Where the folders of containers lie. */
export function containersRoot(): string {
  return join(dataRoot(), 'containers');
}

/** @param stateDirectory absolute */
export function writeOwner(folder: string, stateDirectory: string): void {
  writeFileSync(join(folder, OWNER), stateDirectory, { mode: 0o600 });
}

/** Removes those whose container is no more. Returns how many. */
export async function collectFolders(root: string = containersRoot()): Promise<number> {
  const left = leftFolders(root);
  for (const path of left) await removeOwnTree(path);
  return left.length;
}

/** Those that `collectFolders` would remove: their paths. */
export function leftFolders(root: string): string[] {
  return namesIn(root)
    .map((name) => join(root, name))
    .filter(isLeft);
}

const OWNER = 'owner';
/** Between a folder and its owner's name lies one system call. */
const LONG_MS = 60_000;

function isLeft(path: string): boolean {
  try {
    return !existsSync(readFileSync(join(path, OWNER), 'utf8'));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const facts = statSync(path, { throwIfNoEntry: false });
  return facts !== undefined && Date.now() - facts.mtimeMs > LONG_MS;
}

function namesIn(root: string): string[] {
  try {
    return readdirSync(root);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}
