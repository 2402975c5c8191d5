/** The `--change` lines of `tare import`: instructions of a Dockerfile, with the Dockerfile's own rules, that change the config alone. */
import { TareError } from '../../kernel/error.js';
import type { ExecutionConfig } from '../../oci/image/index.js';
import { configure, type StageState } from '../build/configure.js';
import { parseDockerfile } from '../build/parse/index.js';

/** @throws TareError `config` with the place, `usage` for what changes files */
export function changedConfig(
  lines: readonly string[],
  onWarning: (text: string) => void = () => undefined,
): { readonly config: ExecutionConfig; readonly author?: string } {
  let state: StageState = { config: {}, args: new Map(), hasCmd: false };
  if (lines.length === 0) return { config: {} };
  const { stages, source, directives } = parseDockerfile(`FROM scratch\n${lines.join('\n')}\n`, '--change');
  if (stages.length !== 1)
    throw new TareError('usage', '--change FROM: the image is made of the archive, of nothing else');
  for (const instruction of stages[0]?.instructions ?? []) {
    if (instruction.kind === 'run' || instruction.kind === 'copy' || instruction.kind === 'add')
      throw new TareError(
        'usage',
        `--change ${instruction.kind.toUpperCase()}: that changes files; build on the image for it`,
      );
    state = configure(state, instruction, {
      source,
      escapeSign: directives.escape,
      given: new Map(),
      globals: new Map(),
      onWarning,
    }).state;
  }
  return { config: state.config, ...(state.author !== undefined && { author: state.author }) };
}
