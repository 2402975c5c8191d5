/**
 * The command line that other people's managers call: `tare-oci`, with runc's commands and options. What it does not have
 * yet is refused by name. https://github.com/opencontainers/runtime-tools/blob/master/docs/command-line-interface.md
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { TareError } from '../kernel/error.js';
import { stateRoot } from '../kernel/places.js';
import { parseSignal } from '../kernel/signals.js';
import { loadBundle, OCI_VERSION } from '../oci/index.js';
import { prepareCommand, version } from './main.js';
import { print } from './print.js';
import { reportError, warn } from './report-error.js';
import { runInForeground } from './run.js';

interface Globals {
  readonly root?: string;
  readonly log?: string;
  readonly logFormat: 'text' | 'json';
}

/** @param argv as `process.argv` has it */
export async function main(argv: readonly string[]): Promise<void> {
  const oci = program();
  prepareCommand(oci);
  try {
    await oci.parseAsync([...argv]);
  } catch (error) {
    logError(oci.opts<Globals>(), error);
    process.exitCode = reportError('tare-oci', error);
  }
}

function program(): Command {
  const oci = new Command('tare-oci')
    .description('An OCI runtime, with the command line of runc.')
    .version(`tare-oci ${version()}\nspec: ${OCI_VERSION}`, '-v, --version', 'print the version')
    .option('--root <dir>', 'where running containers are kept')
    .option('--log <file>', 'also write errors to this file')
    .option('--log-format <format>', 'text or json', 'text')
    .option('--debug', 'accepted, as runc has it')
    .enablePositionalOptions()
    .showSuggestionAfterError();
  const root = () => oci.opts<Globals>().root ?? stateRoot();
  oci.addCommand(runCommand(root));
  oci.addCommand(stateCommand(root));
  oci.addCommand(killCommand(root));
  oci.addCommand(deleteCommand(root));
  oci.addCommand(listCommand(root));
  for (const name of NOT_YET) oci.addCommand(notYet(name), { hidden: true });
  return oci;
}

interface RunOptions {
  readonly bundle: string;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly detach?: boolean;
  readonly keep?: boolean;
  readonly pivot: boolean;
  readonly newKeyring: boolean;
  readonly preserveFds: string;
}

function runCommand(root: () => string): Command {
  return new Command('run')
    .description('Create and run a container, and wait for it')
    .argument('<container-id>')
    .option('-b, --bundle <dir>', 'the bundle', '.')
    .option('--pid-file <file>', 'write the pid of its first process to this file')
    .option('--console-socket <path>', 'send the terminal to this socket')
    .option('-d, --detach', 'do not wait')
    .option('--keep', 'do not delete it when it ends')
    .option('--no-pivot', 'do not use pivot_root')
    .option('--no-new-keyring', 'no session keyring of its own')
    .option('--preserve-fds <number>', 'pass on more descriptors', '0')
    .option('--no-subreaper', 'accepted, as runc has it')
    .action(async (id: string, options: RunOptions) => {
      refuseOptions(options);
      process.exitCode = await runInForeground({
        id,
        bundle: loadBundle(options.bundle),
        input: true,
        program: 'tare-oci',
        stateRoot: root(),
        onStarted: (pid) => {
          if (options.pidFile) writeFileSync(options.pidFile, String(pid));
        },
      });
    });
}

function refuseOptions(options: RunOptions): void {
  const asked: [boolean, string][] = [
    [options.consoleSocket !== undefined, '--console-socket'],
    [options.detach ?? false, '--detach'],
    [options.keep ?? false, '--keep'],
    [!options.pivot, '--no-pivot'],
    [!options.newKeyring, '--no-new-keyring'],
    [options.preserveFds !== '0', '--preserve-fds'],
  ];
  for (const [is, name] of asked) {
    if (is) throw new TareError('unsupported', `run ${name} is not there yet in this version of tare-oci`);
  }
}

function stateCommand(root: () => string): Command {
  return new Command('state')
    .description('Print the state of a container')
    .argument('<container-id>')
    .action((id: string) => print(`${JSON.stringify(Container.open(id, root()).state(), null, 2)}\n`));
}

function killCommand(root: () => string): Command {
  return new Command('kill')
    .description('Send a signal to the first process of a container')
    .argument('<container-id>')
    .argument('[signal]', 'a name or a number', 'SIGTERM')
    .action((id: string, signal: string) => {
      Container.open(id, root()).kill(parseSignal(signal));
    });
}

function deleteCommand(root: () => string): Command {
  return new Command('delete')
    .description('Remove a container')
    .argument('<container-id>')
    .option('-f, --force', 'also one that runs: it is killed first')
    .action(async (id: string, { force }: { force?: boolean }) => {
      await Container.open(id, root()).delete({ force });
    });
}

function listCommand(root: () => string): Command {
  return new Command('list')
    .description('List containers')
    .option('-f, --format <format>', 'table or json', 'table')
    .option('-q, --quiet', 'ids only')
    .action(({ format, quiet }: { format: string; quiet?: boolean }) => {
      const failed = ({ message }: TareError) => warn('tare-oci', message);
      const states = Container.states(root(), failed).map(({ state }) => state);
      if (quiet) return print(states.map(({ id }) => `${id}\n`).join(''));
      if (format === 'json') return print(`${JSON.stringify(states)}\n`);
      return print(states.map((s) => `${s.id}\t${s.pid ?? 0}\t${s.status}\t${s.bundle}\n`).join(''));
    });
}

/** Commands of runc that this version does not have. */
const NOT_YET = [
  'create',
  'start',
  'exec',
  'pause',
  'resume',
  'update',
  'events',
  'ps',
  'spec',
  'features',
  'checkpoint',
  'restore',
];

function notYet(name: string): Command {
  return new Command(name)
    .argument('[words...]')
    .allowUnknownOption()
    .action(() => {
      throw new TareError(
        'unsupported',
        `${name} is not there yet in this version of tare-oci: it has run, state, kill, delete and list`,
      );
    });
}

/** As runc's callers read it: a line of text, or a JSON object. */
function logError({ log, logFormat }: Globals, error: unknown): void {
  if (!log || !(error instanceof Error)) return;
  const entry = { level: 'error', msg: error.message, time: new Date().toISOString() };
  const line =
    logFormat === 'json' ? JSON.stringify(entry) : `time="${entry.time}" level=error msg=${JSON.stringify(entry.msg)}`;
  appendFileSync(log, `${line}\n`);
}
