/** The `--change` lines of `tare import`: instructions of a Dockerfile, with the Dockerfile's own rules, that change the config alone. */
import { TareError } from '../../kernel/error.js';
import type { ExecutionConfig } from '../../oci/image/index.js';
import { configure, type StageState } from '../build/configure.js';
import { parseDockerfile } from '../build/parse/index.js';

export interface ChangedConfig {
  readonly config: ExecutionConfig;
  readonly author?: string;
}

/** @throws TareError `config` with the line, `usage` for what changes files */
export function changedConfig(
  lines: readonly string[],
  onWarning: (text: string) => void = () => undefined,
): ChangedConfig {
  try {
    return changed(lines, onWarning);
  } catch (error) {
    // There is no file to look at: in place of a position it is said which of them it is.
    const [, line, why] = (error instanceof TareError && PLACED.exec(error.message)) || [];
    if (line === undefined) throw error;
    const said = lines.join('\n').split('\n')[Number(line) - 2];
    throw new TareError((error as TareError).code, `--change ${said}: ${why}`, { cause: error });
  }
}

const PLACED = /^--change:(\d+):\d+: (.*)\n/;

function changed(lines: readonly string[], onWarning: (text: string) => void): ChangedConfig {
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
