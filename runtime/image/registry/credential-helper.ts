/**
 * A credential helper: the program docker-credential-NAME with one word (`get`, `store`, `erase`), the question on its standard input and the
 * answer, JSON, on its standard output.
 * https://github.com/docker/docker-credential-helpers#development
 */
import { spawn } from 'node:child_process';
import { TareError } from '../../kernel/error.js';
import type { Credentials } from './credentials.js';

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 1 << 20;
/** In place of a user name: the secret is an identity token. */
const TOKEN_USER = '<token>';

/** undefined when it knows none. @throws TareError `command-not-found`, `protocol`, `timeout`, `config` */
export async function askHelper(
  helper: string,
  server: string,
  env: NodeJS.ProcessEnv,
): Promise<Credentials | undefined> {
  const { code, output } = await runHelper(helper, 'get', server, env);
  // It is a failure for them, and an answer for us.
  if (code !== 0 && /not found/i.test(output)) return undefined;
  if (code !== 0) throw failed(helper, 'get', output);
  let fields: { Username?: unknown; Secret?: unknown };
  try {
    fields = JSON.parse(output) ?? {};
  } catch (cause) {
    throw new TareError('protocol', `docker-credential-${helper} answered with something else than JSON`, { cause });
  }
  const { Username: username, Secret: secret } = fields;
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw new TareError('protocol', `docker-credential-${helper} answered without "Username" and "Secret"`);
  return username === TOKEN_USER
    ? { kind: 'identity', token: secret }
    : { kind: 'password', username, password: secret };
}

/** @throws as `askHelper` */
export async function storeByHelper(
  helper: string,
  server: string,
  { username, secret }: { username: string; secret: string },
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const question = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
  const { code, output } = await runHelper(helper, 'store', question, env);
  if (code !== 0) throw failed(helper, 'store', output);
}

/** False when it knew none. @throws as `askHelper` */
export async function eraseByHelper(helper: string, server: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const { code, output } = await runHelper(helper, 'erase', server, env);
  if (code !== 0 && !/not found/i.test(output)) throw failed(helper, 'erase', output);
  return code === 0;
}

async function runHelper(
  helper: string,
  word: string,
  input: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string }> {
  if (!/^[\w][\w.-]*$/.test(helper))
    throw new TareError('config', `${JSON.stringify(helper)} is no name of a credential helper`);
  const program = `docker-credential-${helper}`;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [word], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env,
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    const output: Buffer[] = [];
    let size = 0;
    const tooMuch = new TareError('timeout', `${program} ${word} did not come to an end, or said too much`);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      output.push(chunk);
      if (size <= MAX_OUTPUT) return;
      // Its own children may write as well: with nobody to read, they end.
      child.stdout.destroy();
      child.kill('SIGKILL');
      reject(tooMuch);
    });
    // It may end without having read the question.
    child.stdin.on('error', () => undefined);
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'ENOENT'
          ? new TareError(
              'command-not-found',
              `the credential helper ${program} is not installed, and the configuration wants it`,
              { cause },
            )
          : cause,
      ),
    );
    child.once('exit', (_, signal) => signal !== null && reject(tooMuch));
    child.once('close', (code) => resolve({ code, output: Buffer.concat(output).toString() }));
    child.stdin.end(input);
  });
}

function failed(helper: string, word: string, output: string): TareError {
  return new TareError('protocol', `docker-credential-${helper} ${word} failed: ${output.trim().slice(0, 200)}`);
}
