/** `tare pause` and `tare resume`: stop all processes of a container where they are, and let them go on. */
import { Command } from 'commander';
import { Container } from '../container/index.js';

export function pauseCommand(): Command {
  return new Command('pause')
    .argument('<id>', 'the container')
    .addHelpText('after', '\nExamples:\n  tare pause web\n  tare resume web')
    .action((id: string) => Container.open(id).pause());
}

export function resumeCommand(): Command {
  return new Command('resume')
    .argument('<id>', 'the container')
    .addHelpText('after', '\nExamples:\n  tare pause web\n  tare resume web')
    .action((id: string) => Container.open(id).resume());
}
