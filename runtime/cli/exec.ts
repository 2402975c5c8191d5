/** `tare exec`: runs another program in a container, in the foreground, with our standard streams or a terminal. */
import { Command } from 'commander';
import { Container, changedProcess } from '../container/index.js';
import { collect } from './collect.js';
import { execInForeground } from './exec-foreground.js';
import { warn } from './report-error.js';
import { windowSize } from './terminal-proxy.js';

interface ExecFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
}

export function execCommand(): Command {
  return new Command('exec')
    .argument('<id>', 'the container')
    .argument('<command...>', 'the command and its arguments, after "--"')
    .option('-i, --interactive', 'with -t: pass on what is typed')
    .option('-t, --tty', 'give it a terminal')
    .option('-e, --env <NAME=value>', 'set an environment variable', collect)
    .option('-w, --workdir <dir>', 'where the command starts')
    .option('-u, --user <user>', 'run as this user: UID[:GID], or names that the container knows')
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Examples:
  tare exec web -- ps
  tare exec -it web -- /bin/sh
  tare exec -u www-data:www-data -w /srv web -- id`,
    )
    .action(async (id: string, words: string[], flags: ExecFlags) => {
      const container = Container.open(id);
      const size = windowSize();
      process.exitCode = await execInForeground(container, {
        process: changedProcess(container.config, {
          // What follows the id is the command's, and so is the "--" that says so.
          args: words[0] === '--' ? words.slice(1) : words,
          env: flags.env,
          cwd: flags.workdir,
          user: flags.user === undefined ? undefined : container.parseUser(flags.user),
          terminal: flags.tty,
          consoleSize: size && { width: size.columns, height: size.rows },
        }),
        input: flags.interactive ?? false,
        onWarning: (sentence) => warn('tare', sentence),
      });
    });
}
