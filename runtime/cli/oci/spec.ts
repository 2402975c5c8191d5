/** `tare-oci spec`: writes a config.json to begin with. One that is there already is left alone. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { exampleConfig } from '../../container/example-config.js';
import { TareError } from '../../kernel/error.js';

interface SpecOptions {
  readonly bundle: string;
  readonly rootless?: boolean;
}

export function specCommand(): Command {
  return new Command('spec')
    .option('-b, --bundle <dir>', 'the folder to write it to', '.')
    .option('--rootless', 'for a user who is not root')
    .action(({ bundle, rootless }: SpecOptions) => {
      const who = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
      write(
        join(bundle, 'config.json'),
        `${JSON.stringify(exampleConfig(rootless ? { rootless: who } : {}), null, '\t')}\n`,
      );
    });
}

/** Also a dangling symbolic link is not written through: the flag is O_EXCL. */
function write(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o666 });
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const sentence = exists
      ? `File ${path} exists. Remove it first`
      : `${path} cannot be written: ${(cause as Error).message}`;
    throw new TareError(exists ? 'exists' : 'usage', sentence, { cause, path });
  }
}
