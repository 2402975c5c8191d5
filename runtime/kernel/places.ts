/**
 * Where Tare's files lie: its own (native programs, chapters, exercises) beside package.json, what lasts under the data
 * root, what runs under the state root. Root uses /var/lib/tare and /run/tare; everybody else the XDG base directories
 * (https://specifications.freedesktop.org/basedir-spec/). `--root` and `--state` move them, as do TARE_ROOT and TARE_STATE.
 */
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TareError } from './error.js';
import { inFirstUserNamespace } from './user-namespace.js';

/** The folder of Tare's package.json; the same from the sources and from dist/. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new TareError('internal', 'no package.json above Tare’s own code');
    folder = parent;
  }
  return folder;
}

/** A program of native/: the addon (`tare.node`), `stage`, `init`, `agent`. */
export function nativeFile(name: 'tare.node' | 'stage' | 'init' | 'agent'): string {
  const path = join(packageRoot(), 'dist', 'native', name);
  if (!existsSync(path))
    throw new TareError('not-found', `${path} is missing: build it with "npm run setup"`, { path });
  return path;
}

/** What lasts: images, machines, progress. `/var/lib/tare`, or `$XDG_DATA_HOME/tare`. */
export function dataRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env.TARE_ROOT) return env.TARE_ROOT;
  if (process.geteuid?.() === 0) return '/var/lib/tare';
  return join(env.XDG_DATA_HOME || join(home(), '.local', 'share'), 'tare');
}

/**
 * What runs: one folder a container. `/run/tare`, or `$XDG_RUNTIME_DIR/tare`; without either, a folder in `$TMPDIR` or /tmp.
 * @throws TareError `permission` when that folder is somebody else's
 */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env.TARE_STATE) return env.TARE_STATE;
  if (process.geteuid?.() === 0 && !(env.XDG_RUNTIME_DIR && isSomebodysRoot(env))) return '/run/tare';
  return join(env.XDG_RUNTIME_DIR || ownFolder(env.TMPDIR || '/tmp'), 'tare');
}

function home(): string {
  try {
    return homedir();
  } catch (cause) {
    throw new TareError('not-found', 'you have no home folder: set HOME, or TARE_ROOT', { cause });
  }
}

/** Root in a user namespace that a user made for themself, as podman does: what /run holds is not theirs. runc decides in the same way. */
function isSomebodysRoot({ USER }: NodeJS.ProcessEnv): boolean {
  return USER !== 'root' && !inFirstUserNamespace();
}

/** Anybody can guess the name and be faster, so it is made at once, and used only if nobody else can enter it. */
function ownFolder(temporary: string): string {
  // Whose name nobody has written down (/etc/passwd) has a number.
  const uid = process.getuid?.();
  const path = join(temporary, `tare-${uid}`);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const facts = lstatSync(path);
  if (facts.isDirectory() && facts.uid === uid && (facts.mode & 0o777) === 0o700) return path;
  throw new TareError(
    'permission',
    `${path} is not a folder that only you can enter: somebody else may have made it; set XDG_RUNTIME_DIR or TARE_STATE`,
    { path },
  );
}
