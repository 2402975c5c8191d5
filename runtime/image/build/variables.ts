/**
 * The variables of a build: ARG and ENV, what `--build-arg` says, and what is defined from the beginning: platforms, and the names of proxies. ENV wins
 * over ARG; an ARG is known from its line on, in its stage. https://docs.docker.com/reference/dockerfile/#arg
 */
import { TareError } from '../../kernel/error.js';
import type { Platform } from '../../oci/image/index.js';
import { formatPlatform } from '../platform.js';
import { expandWord } from './parse/expand.js';
import type { ArgInstruction, Dockerfile } from './parse/types.js';

export type Values = ReadonlyMap<string, string>;

/** Given to every RUN without an ARG, and of no account for the cache: they say how the network is reached, not what is built. */
export const PROXIES: readonly string[] = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap(
  (name) => [name, name.toLowerCase()],
);

/** What an ARG of the name has without a value of its own, and what FROM may use. @param stage that was asked for */
export function platformArgs(build: Platform, target: Platform, stage = 'default'): Values {
  const of = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
  return new Map([...of('BUILD', build), ...of('TARGET', target), ['TARGETSTAGE', stage]]);
}

/** The ARGs before the first FROM. @param given by `--build-arg` @throws TareError `config` with the place */
export function globalArgs({ source, globalArgs, directives }: Dockerfile, given: Values, platforms: Values): Values {
  const values = new Map([...platforms]);
  for (const { args } of globalArgs) {
    for (const { name, value } of args) {
      // What is given goes before a default, which may be one that cannot be expanded: ${X:?must be given}.
      const own = () => value && expandWord(source, value, values, { escape: directives.escape });
      const chosen = given.get(name.text) ?? own() ?? platforms.get(name.text);
      if (chosen !== undefined) values.set(name.text, chosen);
    }
  }
  return values;
}

/** What an ARG of a stage comes to: undefined when it has no value. */
export function argValue(
  { name, value }: ArgInstruction['args'][number],
  expand: (word: NonNullable<typeof value>) => string,
  given: Values,
  globals: Values,
): string | undefined {
  return given.get(name.text) ?? (value ? expand(value) : globals.get(name.text));
}

/** SOURCE_DATE_EPOCH, in seconds since 1970; undefined when it is not given. @throws TareError `usage` */
export function epochOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const epoch = Number(text);
  if (/^\d{1,12}$/.test(text)) return epoch;
  throw new TareError(
    'usage',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}: it must be a number of seconds since 1970`,
  );
}

/** What was given by `--build-arg`, and no ARG asks for. */
export function unusedArgs({ globalArgs, stages }: Dockerfile, given: Values): string[] {
  const declared = [...globalArgs, ...stages.flatMap(({ instructions }) => instructions)].flatMap((instruction) =>
    instruction.kind === 'arg' ? instruction.args.map(({ name }) => name.text) : [],
  );
  const known = new Set([...declared, ...PROXIES, 'SOURCE_DATE_EPOCH']);
  return [...given.keys()].filter((name) => !known.has(name) && !name.startsWith('BUILDKIT_'));
}
