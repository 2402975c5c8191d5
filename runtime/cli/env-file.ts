/** `--env-file`: a variable a line, as Docker has it: `NAME=value` with nothing quoted, `NAME` for the caller's own, `#` for a comment. */
import { readFileSync } from 'node:fs';
import { TareError } from '../kernel/error.js';

/** @throws TareError `not-found`, `usage` with the line's number */
export function readEnvFile(path: string, own: NodeJS.ProcessEnv = process.env): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new TareError('not-found', `--env-file ${path} cannot be read: ${(cause as Error).message}`, { cause, path });
  }
  return text
    .replace(/^\ufeff/, '')
    .split('\n')
    .flatMap((line, i) => variableOf(line.replace(/\r$/, '').trimStart(), `${path}, line ${i + 1}`, own));
}

function variableOf(line: string, where: string, own: NodeJS.ProcessEnv): string[] {
  if (line === '' || line.startsWith('#')) return [];
  const [name = ''] = line.split('=', 1);
  if (name === '' || /\s/.test(name)) {
    throw new TareError('usage', `--env-file ${where}: ${JSON.stringify(name)} is no name of a variable`);
  }
  if (name !== line) return [line];
  return own[name] === undefined ? [] : [`${name}=${own[name]}`];
}
