/**
 * The command line that other people's managers call: `tare-oci`, with runc's commands, options and conventions. Each command is a
 * file of its own in oci/, loaded only when it is the one asked for.
 * https://github.com/opencontainers/runtime-tools/blob/master/docs/command-line-interface.md
 */
import { Command, Option } from 'commander';
import { TareError } from '../kernel/error.js';
import { OCI_VERSION } from '../oci/index.js';
import { prepareCommand, version } from './main.js';
import { type Globals, OciContext } from './oci/context.js';
import { checkLog, errorLine, log, withEngineWords } from './oci/log.js';
import { reportError } from './report-error.js';

interface Entry {
  readonly description: string;
  load(context: OciContext): Promise<Command>;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  create: {
    description: 'Create a container, and leave it before its program starts',
    load: async (context) => (await import('./oci/create.js')).createCommand(context),
  },
  start: {
    description: 'Start the program of a created container',
    load: async (context) => (await import('./oci/start.js')).startCommand(context),
  },
  run: {
    description: 'Create and start a container',
    load: async (context) => (await import('./oci/run.js')).runCommand(context),
  },
  state: {
    description: 'Print the state of a container',
    load: async (context) => (await import('./oci/state.js')).stateCommand(context),
  },
  kill: {
    description: 'Send a signal to a container',
    load: async (context) => (await import('./oci/kill.js')).killCommand(context),
  },
  delete: {
    description: 'Remove a container',
    load: async (context) => (await import('./oci/delete.js')).deleteCommand(context),
  },
  exec: {
    description: 'Run another program in a container',
    load: async (context) => (await import('./oci/exec.js')).execCommand(context),
  },
  ps: {
    description: 'List the processes of a container',
    load: async (context) => (await import('./oci/ps.js')).psCommand(context),
  },
  pause: {
    description: 'Stop all processes of a container where they are',
    load: async (context) => (await import('./oci/pause.js')).pauseCommand(context),
  },
  resume: {
    description: 'Let the processes of a paused container go on',
    load: async (context) => (await import('./oci/resume.js')).resumeCommand(context),
  },
  update: {
    description: 'Change the limits of a container',
    load: async (context) => (await import('./oci/update.js')).updateCommand(context),
  },
  events: {
    description: 'Tell what a container uses, and when it runs out of memory',
    load: async (context) => (await import('./oci/events.js')).eventsCommand(context),
  },
  checkpoint: {
    description: 'Write the processes of a container to files',
    load: async (context) => (await import('./oci/checkpoint.js')).checkpointCommand(context),
  },
  restore: {
    description: 'Make a container of what checkpoint has written',
    load: async (context) => (await import('./oci/restore.js')).restoreCommand(context),
  },
  list: {
    description: 'List containers',
    load: async (context) => (await import('./oci/list.js')).listCommand(context),
  },
  spec: {
    description: 'Write a config.json to begin with',
    load: async () => (await import('./oci/spec.js')).specCommand(),
  },
  features: {
    description: 'Print what this runtime recognises, as JSON',
    load: async () => (await import('./oci/features.js')).featuresCommand(),
  },
};

/** The options of `tare-oci` itself that take a value. */
const WITH_VALUE = new Set(['--root', '--log', '--log-format', '--rootless', '--criu']);

/** runc's callers expect 1 for what the runtime itself could not do; exec has 255, since a program has the other numbers. */
const OWN_FAILURE = 1;
const EXEC_FAILURE = 255;

/** @param argv as `process.argv` has it */
export async function main(argv: readonly string[]): Promise<void> {
  const oci = new Command('tare-oci');
  const context = new OciContext(() => oci.opts<Globals>());
  const wanted = commandName(argv);
  try {
    // Else --help would hide that there is no such command; in runc's words.
    if (wanted !== undefined && !(wanted in COMMANDS) && argv.some((word) => ['-h', '--help', 'help'].includes(word)))
      throw new TareError('usage', `No help topic for '${wanted}': there is no such command`);
    await define(oci, context, wanted);
    await oci.parseAsync([...argv]);
  } catch (error) {
    const told = withEngineWords(error);
    if (reportError('tare-oci', told, (sentence) => errorLine(context.globals, sentence)) === 0) return;
    if (told instanceof Error) logError(context, told);
    process.exitCode = wanted === 'exec' ? EXEC_FAILURE : OWN_FAILURE;
  }
}

/** What is wrong with the log itself has been said, or is said now. */
function logError({ globals }: OciContext, { message }: Error): void {
  try {
    log(globals, 'error', message);
  } catch (error) {
    if (!(error instanceof TareError && error.message === message)) reportError('tare-oci', error);
  }
}

async function define(oci: Command, context: OciContext, wanted: string | undefined): Promise<void> {
  oci
    .description('An OCI runtime, with the command line of runc.')
    // As runc writes it: dockerd looks for the word.
    .version(`tare-oci version ${version()}\nspec: ${OCI_VERSION}`, '-v, --version', 'print the version')
    .option('--root <dir>', 'where running containers are kept')
    .option('--log <file>', 'also write errors to this file, and warnings there alone')
    .addOption(new Option('--log-format <format>', 'of that file').choices(['text', 'json']).default('text'))
    .option('--systemd-cgroup', 'let systemd make the cgroups; cgroupsPath is then slice:prefix:name')
    .addOption(
      new Option(
        '--rootless <mode>',
        'true: do without a cgroup that may not be made; auto: for who is not root',
      ).default('auto'),
    )
    .option('--debug', 'write to the log what is done')
    .option('--criu <path>', 'the program that checkpoint and restore use; criu of PATH unless told')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .hook('preAction', () => checkLog(context.globals));
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    const command = name === wanted ? await load(context) : new Command(name);
    oci.addCommand(command.name(name).description(description));
  }
  if (wanted === undefined) oci.action(() => oci.outputHelp());
  // Commander leaves it out where there is an action.
  oci.helpCommand(true);
  prepareCommand(oci);
}

function commandName(argv: readonly string[]): string | undefined {
  for (let i = 2; i < argv.length; i++) {
    const word = argv[i] as string;
    if (WITH_VALUE.has(word)) i++;
    else if (!word.startsWith('-')) return word === 'help' ? argv[i + 1] : word;
  }
  return undefined;
}
