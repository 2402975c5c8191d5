/**
 * The Dockerfile language: text to stages of instructions, each word with its place. Nothing is expanded or run here. Whatever the text, it
 * either gives a Dockerfile or throws a TareError that shows the place, in time that grows with its length.
 */
import { TareError } from '../../../kernel/error.js';
import { checkDockerfile } from './check.js';
import { Context } from './context.js';
import { parseInstruction } from './instructions.js';
import { LineReader } from './lines.js';
import type { ArgInstruction, Dockerfile, Instruction, Stage, Word } from './types.js';
import { splitAtSpaces } from './words.js';

export { type ExpandOptions, expandWord, expandWords, type Variables } from './expand.js';
export { parseMount } from './mounts.js';
export type { Source } from './source.js';
export { stageOf } from './stages.js';
export type * from './types.js';

const MAX_LENGTH = 4 << 20;
/** Stages may stand on each other, each one deeper. */
const MAX_STAGES = 1000;
/** Instructions and the variables, labels, ports and volumes in them: what they leave is copied at each step. */
const MAX_PARTS = 10_000;

/** `file` is how the file is called in errors. @throws TareError `config` (or `unsupported`), whose text shows line and column */
export function parseDockerfile(text: string, file: string): Dockerfile {
  if (text.length > MAX_LENGTH)
    throw new TareError('config', `${file} has more than ${MAX_LENGTH} characters`, { path: file });
  const reader = new LineReader(file, text);
  const { source, directives, warnings } = reader;
  const globalArgs: ArgInstruction[] = [];
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  let parts = 0;
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    const context = new Context(reader, line);
    if (context.name === 'FROM') {
      if (stages.length === MAX_STAGES) throw source.error(context.at, `there are more than ${MAX_STAGES} stages`);
      stages.push(parseFrom(context, stages.length));
      continue;
    }
    const instruction = parseInstruction(context);
    parts += partsOf(instruction);
    if (parts > MAX_PARTS)
      throw source.error(context.at, `there are more than ${MAX_PARTS} instructions, or parts of them`);
    const stage = stages.at(-1);
    if (stage) stage.instructions.push(instruction);
    else if (instruction.kind === 'arg') globalArgs.push(instruction);
    else throw source.error(context.at, `${context.name} is before the first FROM, where only ARG can be`);
  }
  if (stages.length === 0)
    throw source.error(
      { line: 1, column: 1 },
      'there is no FROM: a Dockerfile begins with the image that it builds on',
    );
  const dockerfile = { file, source, directives, globalArgs, stages, warnings };
  checkDockerfile(dockerfile);
  return dockerfile;
}

function partsOf(instruction: Instruction): number {
  switch (instruction.kind) {
    case 'env':
    case 'label':
      return 1 + instruction.pairs.length;
    case 'arg':
      return 1 + instruction.args.length;
    case 'expose':
    case 'volume':
      return 1 + instruction.values.length;
    default:
      return 1;
  }
}

/** An instruction that an image has kept from an ONBUILD. `origin` says which image that is. */
export function parseTrigger(text: string, origin: string): { instruction: Instruction; dockerfile: Dockerfile } {
  const reader = new LineReader(origin, text);
  const line = reader.next();
  const { source, directives, warnings } = reader;
  if (line === undefined) throw source.error({ line: 1, column: 1 }, 'there is no instruction');
  const context = new Context(reader, line);
  if (context.name === 'FROM' || context.name === 'ONBUILD' || context.name === 'MAINTAINER')
    throw source.error(context.at, `${context.name} cannot come from an ONBUILD`);
  const instruction = parseInstruction(context);
  const dockerfile = { file: origin, source, directives, globalArgs: [], stages: [], warnings };
  return { instruction, dockerfile };
}

const STAGE_NAME = /^[a-z][a-z0-9._-]*$/;

function parseFrom(context: Context, index: number): Stage & { instructions: Instruction[] } {
  const flags = context.flags({ platform: 'one' });
  const words = splitAtSpaces(context.needed('an image, or "scratch"'));
  const [base, as, name] = words as [Word, Word?, Word?];
  if (as && as.text.toLowerCase() !== 'as')
    throw context.source.error(as.at, `${JSON.stringify(as.text)} stands where only AS can: FROM image AS name`);
  if (as && !name) throw context.source.error(as.at, 'AS needs a name: FROM image AS name');
  const more = words[3];
  if (more) throw context.source.error(more.at, 'nothing can follow the name of a stage');
  const stageName = name?.text.toLowerCase();
  if (name && !STAGE_NAME.test(stageName ?? ''))
    throw context.source.error(
      name.at,
      'the name of a stage has letters, digits, ".", "_" and "-", and begins with a letter',
    );
  if (name && name.text !== stageName)
    context.warn('StageNameCasing', 'write the names of stages in lower case', name.at);
  if (as && isUpper(as.text) !== isUpper(context.written))
    context.warn('FromAsCasing', 'write FROM and AS both in capitals, or both not', as.at);
  const platform = flags.value('platform');
  const { at, original } = context.placed();
  return {
    index,
    ...(stageName && { name: stageName }),
    base,
    ...(platform && { platform }),
    instructions: [],
    at,
    original,
  };
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase();
}
