/** `tare login` and `tare logout`: credentials of a registry, tried and kept, or forgotten. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { isatty } from 'node:tty';
import { Command, Option } from 'commander';
import { parseReference } from '../../image/reference.js';
import { login, logout } from '../../image/registry/index.js';
import { TareError } from '../../kernel/error.js';
import { interruptible } from '../interrupt.js';
import { print, printable } from '../print.js';
import { warn } from '../report-error.js';
import { addRegistryOptions, type RegistryFlags, registryOptions } from './registry-options.js';

interface LoginFlags extends RegistryFlags {
  readonly username?: string;
  readonly passwordStdin?: boolean;
  readonly password?: string;
}

const DEFAULT_REGISTRY = 'docker.io';

export function loginCommand(): Command {
  return addRegistryOptions(new Command('login'))
    .argument('[registry]', 'as registry.example or localhost:5000', DEFAULT_REGISTRY)
    .option('-u, --username <name>', 'asked for unless told')
    .option('--password-stdin', 'read the password from standard input')
    .addOption(new Option('-p, --password <password>').hideHelp())
    .addHelpText(
      'after',
      `
The registry is asked whether it accepts them; they are kept where docker keeps its own (~/.docker/config.json, or $REGISTRY_AUTH_FILE),
by the credential helper that is named there, if one is.

Examples:
  tare login registry.example
  tare login -u ann --password-stdin localhost:5000 < password`,
    )
    .action(async (name: string, flags: LoginFlags) => {
      const registry = registryName(name);
      const account = await accountOf(registry, flags);
      await interruptible(async (signal) => {
        const { place, isPlain } = await login(registry, account, { ...registryOptions(flags), signal });
        if (isPlain)
          warn('tare', `the password lies unencrypted in ${place}: a credential helper (credsStore) keeps it better`);
        await print(`logged in to ${printable(registry)}\n`);
      });
    });
}

export function logoutCommand(): Command {
  return new Command('logout')
    .argument('[registry]', 'as registry.example or localhost:5000', DEFAULT_REGISTRY)
    .addHelpText('after', '\nExamples:\n  tare logout registry.example')
    .action(async (name: string) => {
      const registry = registryName(name);
      const places = await logout(registry);
      if (places.length === 0) return print(`not logged in to ${printable(registry)}\n`);
      return print(places.map((place) => `removed from ${printable(place)}\n`).join(''));
    });
}

/** A host, not a whole image; people also paste URLs. */
function registryName(text: string): string {
  const host = text.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  if (host.includes('/'))
    throw new TareError('usage', `${JSON.stringify(text)} is no registry: it is a host, without a path`);
  const isDocker = ['docker.io', 'index.docker.io', 'registry-1.docker.io'].includes(host);
  if (isDocker) return DEFAULT_REGISTRY;
  // Only a name with a dot, a port or "localhost" is a host where it stands before a repository: here it always is one.
  const isHost = /[.:]/.test(host) || host === 'localhost';
  return isHost ? parseReference(`${host}/x`).registry : parseReference(`${host}:443/x`).registry.replace(/:443$/, '');
}

async function accountOf(
  registry: string,
  { username, passwordStdin, password: shown }: LoginFlags,
): Promise<{ username: string; password: string }> {
  if (shown !== undefined)
    throw new TareError(
      'usage',
      '--password is not taken: everybody on this machine can read a command line; use --password-stdin',
    );
  if (passwordStdin) {
    if (username === undefined) throw new TareError('usage', '--password-stdin needs --username');
    // The last line's end is the file's, not the password's.
    const password = (await text(process.stdin)).replace(/\r?\n$/, '');
    return { username, password: notEmpty(password, 'password') };
  }
  if (!isatty(0))
    throw new TareError('usage', 'standard input is no terminal to ask at: give --username and --password-stdin');
  const name = username ?? (await ask(`user name for ${printable(registry)}: `, false));
  return { username: notEmpty(name, 'user name'), password: notEmpty(await ask('password: ', true), 'password') };
}

function notEmpty(text: string, what: string): string {
  if (text !== '') return text;
  throw new TareError('usage', `no ${what} was given`);
}

/** At the terminal; a secret is not shown while it is typed. */
async function ask(question: string, isSecret: boolean): Promise<string> {
  let isSilent = false;
  const output = new Writable({
    write: (chunk, _, done) => {
      if (!isSilent) process.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  const gone = new AbortController();
  lines.once('SIGINT', () => gone.abort());
  lines.once('close', () => gone.abort());
  try {
    const answer = lines.question(question, { signal: gone.signal });
    isSilent = isSecret;
    return await answer;
  } catch (error) {
    if (gone.signal.aborted) throw new TareError('usage', 'nothing was entered', { cause: error });
    throw error;
  } finally {
    lines.close();
    if (isSecret) process.stderr.write('\n');
  }
}
