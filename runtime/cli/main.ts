/**
 * The command line: `tare COMMAND ...`. Each command is a file of its own, loaded only when it is the one asked for, so that
 * starting costs little. Errors are one sentence on standard error; exit codes are Docker's (125 Tare's own, 126, 127, 128+n).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { TareError } from '../kernel/error.js';
import { packageRoot } from '../kernel/places.js';
import { IN_BOTH } from './image/short.js';
import { addCommands, type Entry } from './lazy.js';
import { print } from './print.js';
import { reportError } from './report-error.js';

const COMMANDS: readonly Entry[] = [
  {
    name: 'run',
    description: 'Run a command in a new container',
    load: async () => (await import('./run.js')).runCommand(),
  },
  {
    name: 'plan',
    description: 'Print the plan that makes a container, or what differs between two',
    load: async () => (await import('./plan.js')).planCommand(),
  },
  {
    name: 'step',
    description: 'Make a container one step at a time, and see what each step changes',
    load: async () => (await import('./step.js')).stepCommand(),
  },
  {
    name: 'ps',
    description: 'List containers',
    load: async () => (await import('./list.js')).listCommand(),
  },
  {
    name: 'exec',
    description: 'Run another command in a container',
    load: async () => (await import('./exec.js')).execCommand(),
  },
  {
    name: 'pause',
    description: 'Stop all processes of a container where they are',
    load: async () => (await import('./pause.js')).pauseCommand(),
  },
  {
    name: 'resume',
    description: 'Let the processes of a paused container go on',
    load: async () => (await import('./pause.js')).resumeCommand(),
  },
  {
    name: 'kill',
    description: 'Send a signal to a container',
    load: async () => (await import('./kill.js')).killCommand(),
  },
  {
    name: 'stop',
    description: 'Ask a container to end, and kill it after a while',
    load: async () => (await import('./stop.js')).stopCommand(),
  },
  {
    name: 'delete',
    description: 'Remove a container',
    load: async () => (await import('./delete.js')).deleteCommand(),
  },
  {
    name: 'gc',
    description: 'Remove what crashed commands left behind',
    load: async () => (await import('./gc.js')).gcCommand(),
  },
  ...IN_BOTH,
  {
    name: 'login',
    description: 'Log in to a registry',
    load: async () => (await import('./image/login.js')).loginCommand(),
  },
  {
    name: 'logout',
    description: 'Forget the credentials of a registry',
    load: async () => (await import('./image/login.js')).logoutCommand(),
  },
  {
    name: 'images',
    description: 'List images',
    load: async () => (await import('./image/images.js')).imagesCommand(),
  },
  {
    name: 'rmi',
    description: 'Remove names of images, and the images that have none left',
    load: async () => (await import('./image/rmi.js')).rmiCommand(),
  },
  {
    name: 'export',
    description: 'Write the root file system of a container to an archive',
    load: async () => (await import('./export.js')).exportCommand(),
  },
  {
    name: 'image',
    description: 'Work with images: list, verify, prune …',
    load: async (words) => (await import('./image.js')).imageCommand(words),
  },
  {
    name: 'system',
    description: 'How much room is taken, and how to have it back',
    load: async (words) => (await import('./system.js')).systemCommand(words),
  },
  {
    name: 'inspect',
    description: 'Say how contained a process is, or what is known of an image',
    load: async () => (await import('./inspect.js')).inspectCommand(),
  },
  {
    name: 'seccomp',
    description: 'Compile a seccomp profile, or explain what it answers',
    load: async () => (await import('./seccomp.js')).seccompCommand(),
  },
  {
    name: 'exercise',
    description: 'List, start, check and solve exercises',
    load: async () => (await import('./exercise.js')).exerciseCommand(),
  },
  {
    name: 'machine',
    description: 'Build, list and use the lab’s virtual machines',
    load: async () => (await import('./machine.js')).machineCommand(),
  },
];

const EXAMPLES = `
Examples:
  tare run -it debian:12 /bin/bash              a shell in a container of an image
  tare run --rootfs ./rootfs -it -- /bin/sh     a shell in a container of a plain folder
  tare run --rootfs ./rootfs --memory 64m -- make
  tare run --bundle ./bundle                    an OCI bundle (runc spec, umoci unpack)
  tare plan --bundle ./bundle                   every system call that makes it, and why
  tare step --bundle ./bundle                   the same, one at a time
  tare exec -it web -- /bin/sh                  a shell in a container that runs
  tare inspect 1234                             how contained process 1234 is

"tare COMMAND --help" says more about a command.`;

/** @param argv as `process.argv` has it */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await (await program(argv)).parseAsync([...argv]);
  } catch (error) {
    process.exitCode = reportError('tare', error);
  }
}

async function program(argv: readonly string[]): Promise<Command> {
  const tare = new Command('tare')
    .description('A container platform built from scratch to be read, run and learned from.')
    .version(version(), '--version', 'print the version')
    .option('--root <dir>', 'where images, machines and progress are kept (TARE_ROOT)')
    .option('--state <dir>', 'where running containers are kept (TARE_STATE)')
    .addHelpText('after', EXAMPLES)
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .hook('preAction', () => {
      const { root, state } = tare.opts<{ root?: string; state?: string }>();
      if (root) process.env.TARE_ROOT = root;
      if (state) process.env.TARE_STATE = state;
    });
  const wanted = await addCommands(tare, COMMANDS, argv.slice(2), ['--root', '--state']);
  if (wanted !== undefined && !COMMANDS.some(({ name }) => name === wanted)) {
    const sentence = (await import('./elsewhere.js')).elsewhere(wanted);
    if (sentence !== undefined) throw new TareError('usage', `there is no command "${wanted}": ${sentence}`);
    // Help is about a command that there is; else --help would hide that there is none.
    tare.helpOption(false);
  }
  prepareCommand(tare);
  if (wanted === undefined) tare.action(() => tare.outputHelp());
  return tare;
}

/** Failures of the command line itself are thrown, and shown like all others; help is printed as pages of text are. */
export function prepareCommand(command: Command): void {
  command.exitOverride((error) => {
    throw isMisuse(error) ? withHelp(error, command) : error;
  });
  command.configureOutput({ writeOut: (text) => void print(text), outputError: () => undefined });
  for (const child of command.commands) prepareCommand(child);
}

function isMisuse({ exitCode, code }: CommanderError): boolean {
  return exitCode !== 0 && code !== 'commander.help';
}

/** Whoever wrote it otherwise than it is wants to know how it is written. */
function withHelp({ exitCode, code, message }: CommanderError, command: Command): CommanderError {
  const names: string[] = [];
  for (let one: Command | null = command; one; one = one.parent) names.unshift(one.name());
  return new CommanderError(exitCode, code, `${message}; see "${names.join(' ')} --help"`);
}

export function version(): string {
  return (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;
}
