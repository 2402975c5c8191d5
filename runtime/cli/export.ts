/** `tare export`: the root file system of a container, as a tar archive. What is mounted in it (volumes, /proc) is left out. */
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { writeArchive } from '../image/archive/to-file.js';
import { interruptible } from './interrupt.js';

export function exportCommand(): Command {
  return new Command('export')
    .argument('<id>', 'a container that runs')
    .option('-o, --output <file>', 'the archive; standard output unless told')
    .option('--pause', 'stop its processes meanwhile, so that no file changes while it is read')
    .addHelpText(
      'after',
      `
Examples:
  tare export -o root.tar web
  tare export --pause web | tare import - web:snapshot`,
    )
    .action((id: string, options: { output?: string; pause?: boolean }) =>
      interruptible(async (signal) => {
        const { exportTree } = await import('../image/run/export.js');
        const container = Container.open(id);
        if (options.pause) await container.pause();
        try {
          const { tree, ...maps } = await container.openRoot();
          using root = tree;
          await writeArchive(options.output, (sink) => exportTree(root.fd, sink, { ...maps, signal }));
        } finally {
          if (options.pause) await container.resume();
        }
      }),
    );
}
