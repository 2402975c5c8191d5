/** The `--change` lines of `tare import`: instructions of a Dockerfile, with the Dockerfile's own rules, that change the config alone. */
import { TareError } from '../../kernel/error.js';
import type { ExecutionConfig } from '../../oci/image/index.js';
import { configure, type StageState } from '../build/configure.js';
import { parseTrigger } from '../build/parse/index.js';

/** @throws TareError `config` with the place */
export function changedConfig(
  lines: readonly string[],
  onWarning: (text: string) => void = () => undefined,
): { readonly config: ExecutionConfig; readonly author?: string } {
  let state: StageState = { config: {}, args: new Map(), hasCmd: false };
  for (const line of lines) {
    const { instruction, dockerfile } = parseTrigger(line, '--change');
    if (instruction.kind === 'run' || instruction.kind === 'copy' || instruction.kind === 'add')
      throw new TareError(
        'usage',
        `--change ${JSON.stringify(line)}: ${instruction.kind.toUpperCase()} changes files; build on the image for that`,
      );
    state = configure(state, instruction, {
      source: dockerfile.source,
      escapeSign: dockerfile.directives.escape,
      given: new Map(),
      globals: new Map(),
      onWarning,
    }).state;
  }
  return { config: state.config, ...(state.author !== undefined && { author: state.author }) };
}
