/**
 * One function an instruction: from the text behind its name to what it says. FROM is not among them: it begins a stage, and is read in
 * index.ts. https://docs.docker.com/reference/dockerfile/
 */

import { nearest } from '../../near.js';
import type { Context } from './context.js';
import { parseCopy } from './copy.js';
import { parseHealthcheck } from './healthcheck.js';
import { parsePairs } from './pairs.js';
import { parseRun } from './run.js';
import type { Instruction, OnbuildInstruction, ShellInstruction } from './types.js';
import { splitAtSpaces, splitQuoted, wordAt } from './words.js';

/** The names of all instructions, in capitals. */
export const INSTRUCTIONS = [
  ...[
    'ADD',
    'ARG',
    'CMD',
    'COPY',
    'ENTRYPOINT',
    'ENV',
    'EXPOSE',
    'FROM',
    'HEALTHCHECK',
    'LABEL',
    'MAINTAINER',
    'ONBUILD',
  ],
  ...['RUN', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'],
] as const;

/** @throws TareError `config` with the place */
export function parseInstruction(context: Context): Instruction {
  const { name } = context;
  switch (name) {
    case 'ADD':
    case 'COPY':
      return parseCopy(context);
    case 'ARG':
      return parseArg(context);
    case 'CMD':
    case 'ENTRYPOINT':
      context.flags({});
      return { kind: name === 'CMD' ? 'cmd' : 'entrypoint', command: context.command(), ...context.placed() };
    case 'ENV':
    case 'LABEL':
      return { kind: name === 'ENV' ? 'env' : 'label', pairs: parsePairs(context), ...context.placed() };
    case 'EXPOSE':
      context.flags({});
      return { kind: 'expose', values: splitAtSpaces(context.needed('a port, such as 80/tcp')), ...context.placed() };
    case 'HEALTHCHECK':
      return parseHealthcheck(context);
    case 'MAINTAINER':
      context.warn('MaintainerDeprecated', 'MAINTAINER is deprecated: use LABEL org.opencontainers.image.authors="…"');
      return parseOne(context, 'maintainer', 'a name');
    case 'ONBUILD':
      return parseOnbuild(context);
    case 'RUN':
      return parseRun(context);
    case 'SHELL':
      return parseShell(context);
    case 'STOPSIGNAL':
      return parseOne(context, 'stopsignal', 'a signal, such as SIGTERM');
    case 'USER':
      return parseOne(context, 'user', 'a user, such as web or 1000:1000');
    case 'VOLUME':
      return parseVolume(context);
    case 'WORKDIR':
      return parseOne(context, 'workdir', 'a folder');
    default:
      throw context.source.error(context.at, unknown(context.written));
  }
}

function unknown(written: string): string {
  const near = nearest(written, INSTRUCTIONS);
  return `there is no instruction ${JSON.stringify(written.slice(0, 40))}${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function parseOne(context: Context, kind: 'user' | 'workdir' | 'stopsignal' | 'maintainer', what: string): Instruction {
  context.flags({});
  const rest = context.needed(what);
  return { kind, value: wordAt(rest, 0, rest.text), ...context.placed() };
}

function parseArg(context: Context): Instruction {
  context.flags({});
  const words = splitQuoted(context.needed('a name, such as VERSION=1'), context.escape);
  const args = words.map((word) => {
    const equals = word.text.indexOf('=');
    if (equals === 0) throw context.source.error(word.at, 'a name is missing before the "="');
    if (equals < 0) return { name: word };
    const at = { line: word.at.line, column: word.at.column + equals + 1 };
    return {
      name: { text: word.text.slice(0, equals), at: word.at },
      value: { text: word.text.slice(equals + 1), at },
    };
  });
  return { kind: 'arg', args, ...context.placed() };
}

function parseShell(context: Context): ShellInstruction {
  context.flags({});
  const rest = context.needed('a JSON array, such as ["/bin/bash", "-c"]');
  const words = context.json();
  if (words === undefined || words.length === 0)
    throw context.source.error(
      wordAt(rest, 0, '').at,
      'SHELL wants a JSON array of strings in double quotes, such as ["/bin/bash", "-c"]',
    );
  return { kind: 'shell', args: words.map(({ text }) => text), ...context.placed() };
}

function parseVolume(context: Context): Instruction {
  context.flags({});
  const rest = context.needed('a folder');
  const values = context.json() ?? splitAtSpaces(rest);
  const empty = values.find(({ text }) => text.trim() === '');
  if (values.length === 0 || empty)
    throw context.source.error((empty ?? context).at, 'VOLUME needs a folder: its name is empty');
  return { kind: 'volume', values, ...context.placed() };
}

function parseOnbuild(context: Context): OnbuildInstruction {
  context.flags({});
  context.needed('an instruction');
  const inner = context.within();
  if (inner.name === 'ONBUILD') throw context.source.error(inner.at, 'ONBUILD cannot be given to ONBUILD');
  if (inner.name === 'FROM' || inner.name === 'MAINTAINER')
    throw context.source.error(inner.at, `${inner.name} cannot be given to ONBUILD`);
  const instruction = parseInstruction(inner);
  const bodies = inner.heredocsRead().map(({ raw, name }) => `\n${raw}${name}`);
  return { kind: 'onbuild', instruction, trigger: instruction.original + bodies.join(''), ...context.placed() };
}
