/**
 * Secrets of a build: what `--secret` names, given to the RUNs that ask for it, as a file or a variable. They are no part of a layer, of the history, or of
 * a cache key. The files lie beside the states of containers, which is memory on most machines, and go with the step; those of a build that was
 * killed go with the next one, or with `tare gc`.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { makeFolders } from '../../kernel/files.js';
import { stateRoot } from '../../kernel/places.js';
import { identityOf, pidNamespace } from '../../kernel/process-identity.js';
import { readRegular } from '../../kernel/read-regular.js';

/** `id` names it; it is in a file, or in a variable of our own environment. */
export interface Secret {
  readonly id: string;
  readonly source: { readonly file: string } | { readonly variable: string };
}

/** `id=NAME[,src=FILE|,env=VARIABLE]`, as `--secret` has it; by the id alone it is a variable of that name, or a file. @throws TareError `usage` */
export function parseSecret(text: string, env: NodeJS.ProcessEnv = process.env): Secret {
  const fields = new Map<string, string>();
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    if (at < 0) throw wrong(text, `${JSON.stringify(part)} is not key=value`);
    fields.set(part.slice(0, at).trim(), part.slice(at + 1));
  }
  const type = fields.get('type');
  const file = fields.get('src') ?? fields.get('source');
  const variable = fields.get('env');
  const id = fields.get('id') ?? '';
  const unknown = [...fields.keys()].find((key) => !['id', 'type', 'src', 'source', 'env'].includes(key));
  if (unknown !== undefined) throw wrong(text, `there is no ${JSON.stringify(unknown)}`);
  if (id === '') throw wrong(text, 'it needs an id');
  if (type !== undefined && type !== 'file' && type !== 'env') throw wrong(text, 'its type is file or env');
  if (file !== undefined && variable !== undefined) throw wrong(text, 'it is in a file or in a variable, not in both');
  if (type === 'env') return { id, source: { variable: variable ?? file ?? id } };
  if (variable !== undefined) return { id, source: { variable } };
  if (file === undefined && type === undefined && env[id] !== undefined) return { id, source: { variable: id } };
  return { id, source: { file: file ?? id } };
}

/** What it holds. @throws TareError `not-found`, `usage` */
export function readSecret({ id, source }: Secret, env: NodeJS.ProcessEnv = process.env): Buffer {
  if ('variable' in source) {
    const value = env[source.variable];
    if (value === undefined)
      throw new TareError('not-found', `the secret ${id}: the variable ${source.variable} is not set`);
    return Buffer.from(value);
  }
  let fd: number;
  try {
    fd = openSync(source.file, 'r');
  } catch (cause) {
    throw new TareError('not-found', `the secret ${id}: ${(cause as Error).message}`, { cause, path: source.file });
  }
  try {
    return readRegular(fd, MAX_SECRET);
  } finally {
    closeSync(fd);
  }
}

/** As docker has it: 500 KiB. */
const MAX_SECRET = 500 * 1024;

/** The secret files of one step. */
export class SecretFiles implements Disposable {
  #folder: string | undefined;

  /** Writes one, and gives its path. */
  add(content: Uint8Array, { mode = 0o400, uid = 0, gid = 0 }: { mode?: number; uid?: number; gid?: number }): string {
    this.#folder ??= makeFolder();
    const path = join(this.#folder, randomBytes(8).toString('hex'));
    writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
    chownSync(path, uid, gid);
    chmodSync(path, mode & 0o777);
    return path;
  }

  [Symbol.dispose](): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }
}

/** Removes those of builds that are gone. */
export function removeDeadSecrets(root: string = stateRoot()): void {
  makeFolders(root);
  for (const name of readdirSync(root)) {
    const [, namespace, pid] = FOLDER.exec(name) ?? [];
    if (namespace === pidNamespace() && identityOf(Number(pid)) === undefined)
      rmSync(join(root, name), { recursive: true, force: true });
  }
}

/** As states of containers are called that have no name yet: `tare gc` knows what to do with them. */
const FOLDER = /^\.secrets-[0-9a-f]+\.(\d+)\.(\d+)$/;

function makeFolder(): string {
  const root = stateRoot();
  makeFolders(root);
  const path = join(root, `.secrets-${randomBytes(6).toString('hex')}.${pidNamespace()}.${process.pid}`);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

function wrong(text: string, why: string): TareError {
  return new TareError('usage', `--secret ${text}: ${why}; such as id=token,src=token.txt or id=token,env=TOKEN`);
}
