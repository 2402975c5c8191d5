/**
 * The instructions that change no file: what they do to the image's config, and the line of its history. Each gives a new state; the one before
 * stays as it was. https://docs.docker.com/reference/dockerfile/, config.md of the image specification
 */
import { isIP } from 'node:net';
import { posix } from 'node:path';
import type { ExecutionConfig, Healthcheck } from '../../oci/image/index.js';
import { expandWord, expandWords } from './parse/expand.js';
import type { Source } from './parse/source.js';
import type { Command, Escape, HealthcheckInstruction, Instruction, Word } from './parse/types.js';
import { argValue, type Values } from './variables.js';

/** What the instructions of a stage have come to, but for its files. */
export interface StageState {
  readonly config: ExecutionConfig;
  readonly author?: string;
  /** The ARGs so far that have a value. */
  readonly args: Values;
  /** CMD stood in this stage: ENTRYPOINT leaves it. */
  readonly hasCmd: boolean;
}

export interface Circumstances {
  readonly source: Source;
  readonly escapeSign: Escape;
  /** By `--build-arg`. */
  readonly given: Values;
  readonly globals: Values;
  readonly onWarning: (text: string) => void;
}

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

export type ConfigInstruction = Exclude<Instruction, { kind: 'run' | 'copy' | 'add' }>;

/** @returns the new state, and what the history says @throws TareError `config` with the place */
export function configure(
  state: StageState,
  instruction: ConfigInstruction,
  circumstances: Circumstances,
): { state: StageState; createdBy: string } {
  const { config } = state;
  const expand = expander(state, circumstances);
  const changed = (changes: Partial<ExecutionConfig>, createdBy: string, more: Partial<StageState> = {}) => ({
    state: { ...state, ...more, config: { ...config, ...changes } },
    createdBy,
  });
  switch (instruction.kind) {
    case 'arg': {
      const args = new Map(state.args);
      const said: string[] = [];
      for (const arg of instruction.args) {
        // One ARG of the instruction may use the one before.
        const value = argValue(
          arg,
          expander({ ...state, args }, circumstances),
          circumstances.given,
          circumstances.globals,
        );
        if (value !== undefined) args.set(arg.name.text, value);
        said.push(value === undefined ? arg.name.text : `${arg.name.text}=${value}`);
      }
      return { state: { ...state, args }, createdBy: `ARG ${said.join(' ')}` };
    }
    case 'env': {
      // All values are those before the instruction.
      const pairs = instruction.pairs.map(({ key, value }) => [expand(key), expand(value)] as const);
      for (const [at, [name]] of pairs.entries())
        if (name === '' || name.includes('='))
          throw circumstances.source.error(
            instruction.pairs[at]?.key.at ?? instruction.at,
            'ENV needs a name that is not empty',
          );
      const Env = pairs.reduce((env, [name, value]) => withVariable(env, name, value), config.Env ?? []);
      return changed({ Env }, `ENV ${pairs.map((pair) => pair.join('=')).join(' ')}`);
    }
    case 'label': {
      const pairs = instruction.pairs.map(({ key, value }) => [expand(key), expand(value)] as const);
      const Labels = { ...config.Labels, ...Object.fromEntries(pairs) };
      return changed({ Labels }, `LABEL ${pairs.map((pair) => pair.join('=')).join(' ')}`);
    }
    case 'maintainer': {
      // As it is written, quotes and all.
      const author = instruction.value.text;
      return changed({}, `MAINTAINER ${author}`, { author });
    }
    case 'cmd':
      return changed({ Cmd: commandArgs(instruction.command, config) }, `CMD ${said(instruction.command, config)}`, {
        hasCmd: true,
      });
    case 'entrypoint':
      return changed(
        // The base's CMD was for the base's ENTRYPOINT.
        { Entrypoint: commandArgs(instruction.command, config), ...(!state.hasCmd && { Cmd: undefined }) },
        `ENTRYPOINT ${said(instruction.command, config)}`,
      );
    case 'user': {
      const User = expand(instruction.value);
      if (User === '') throw circumstances.source.error(instruction.value.at, 'USER needs a user');
      return changed({ User }, `USER ${User}`);
    }
    case 'workdir': {
      const path = expand(instruction.value);
      const WorkingDir = posix.resolve('/', config.WorkingDir ?? '/', path);
      return changed({ WorkingDir }, `WORKDIR ${WorkingDir}`);
    }
    case 'stopsignal': {
      const StopSignal = expand(instruction.value);
      if (!/^(?:\d{1,2}|[A-Z][A-Z0-9+-]{0,15})$/.test(StopSignal))
        throw circumstances.source.error(instruction.value.at, `${JSON.stringify(StopSignal)} is no signal`);
      return changed({ StopSignal }, `STOPSIGNAL ${StopSignal}`);
    }
    case 'expose': {
      const ports = instruction.values.flatMap((word) => exposed(word, state, circumstances));
      const ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
      return changed({ ExposedPorts }, `EXPOSE ${ports.join(' ')}`);
    }
    case 'volume': {
      const paths = instruction.values.map(expand);
      if (paths.includes('')) throw circumstances.source.error(instruction.at, 'VOLUME needs a path that is not empty');
      const Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
      return changed({ Volumes }, `VOLUME ${JSON.stringify(paths)}`);
    }
    case 'shell':
      return changed({ Shell: instruction.args }, `SHELL ${JSON.stringify(instruction.args)}`);
    case 'healthcheck':
      return changed({ Healthcheck: healthcheck(instruction, config) }, instruction.original);
    case 'onbuild':
      return changed({ OnBuild: [...(config.OnBuild ?? []), instruction.trigger] }, `ONBUILD ${instruction.trigger}`);
  }
}

/** Expands words with what is known at this place. */
export function expander(state: StageState, circumstances: Circumstances): (word: Word) => string {
  const { source, escapeSign, onWarning } = circumstances;
  return (word) =>
    expandWord(source, word, variables(state), {
      escape: escapeSign,
      onUnset: (name) => onWarning(`${source.place(word.at)}: the variable ${name} is used, and not set`),
    });
}

/** ENV, then ARG. */
export function variables({ config, args }: StageState): { get(name: string): string | undefined } {
  const env = environment(config.Env ?? []);
  return { get: (name) => env.get(name) ?? args.get(name) };
}

/** The variables of `NAME=value` entries. */
export function environment(entries: readonly string[]): Map<string, string> {
  return new Map(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

/** A variable stays where it stood first. */
function withVariable(env: readonly string[], name: string, value: string): readonly string[] {
  const at = env.findIndex((entry) => entry.startsWith(`${name}=`));
  return at < 0 ? [...env, `${name}=${value}`] : env.with(at, `${name}=${value}`);
}

/** A line is for the shell. */
function commandArgs(command: Command, { Shell }: ExecutionConfig): readonly string[] {
  return command.form === 'exec' ? command.args : [...(Shell ?? DEFAULT_SHELL), command.text];
}

function said(command: Command, config: ExecutionConfig): string {
  return JSON.stringify(commandArgs(command, config));
}

/** `80`, `80/udp`, `8000-8010/tcp`; an address or a port of the host before it, which an image cannot say, is passed over. */
function exposed(word: Word, state: StageState, { source, escapeSign, onWarning }: Circumstances): string[] {
  return expandWords(source, word, variables(state), { escape: escapeSign }).flatMap((text) => {
    const parts = text.split(':');
    const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(parts.at(-1) ?? '');
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (!match || first < 1 || last > 65_535 || last < first || !isPublished(parts.slice(0, -1)))
      throw source.error(word.at, `${JSON.stringify(text)} is no port: it is written as 80, 80/udp or 8000-8010/tcp`);
    if (parts.length > 1)
      onWarning(
        `${source.place(word.at)}: EXPOSE ${text} names the container's port alone: the host's is for run --publish`,
      );
    const protocol = (match[3] ?? 'tcp').toLowerCase();
    return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
  });
}

/** What `--publish` may have before the port of the container: `80`, `127.0.0.1:80`, `[::1]:80`, `::1:`. */
function isPublished(parts: readonly string[]): boolean {
  const port = parts.at(-1) ?? '';
  const address = parts
    .slice(0, -1)
    .join(':')
    .replace(/^\[(.*)\]$/, '$1');
  return /^(?:\d{1,5}(?:-\d{1,5})?)?$/.test(port) && (address === '' || isIP(address) !== 0);
}

function healthcheck(instruction: HealthcheckInstruction, config: ExecutionConfig): Healthcheck {
  const { command, interval, timeout, startPeriod, startInterval, retries } = instruction;
  if (!command) return { Test: ['NONE'] };
  const shell = config.Shell && command.form === 'shell';
  return {
    // CMD-SHELL is for /bin/sh: another shell is named.
    Test:
      command.form === 'exec'
        ? ['CMD', ...command.args]
        : shell
          ? ['CMD', ...commandArgs(command, config)]
          : ['CMD-SHELL', command.text],
    ...(interval !== undefined && { Interval: interval }),
    ...(timeout !== undefined && { Timeout: timeout }),
    ...(startPeriod !== undefined && { StartPeriod: startPeriod }),
    ...(startInterval !== undefined && { StartInterval: startInterval }),
    ...(retries !== undefined && { Retries: retries }),
  };
}
