/** RUN: its flags, and its command: for the shell, as JSON, or a here-document that is the script itself. */
import type { Context } from './context.js';
import { parseOpening } from './heredoc.js';
import { checkMount } from './mounts.js';
import type { RunCommand, RunInstruction, Word } from './types.js';
import { parseJsonWords } from './words.js';

export function parseRun(context: Context): RunInstruction {
  const flags = context.flags({ mount: 'many', network: 'one', security: 'one', device: 'many' });
  const mounts = flags.values('mount');
  for (const mount of mounts) checkMount(context.source, mount);
  refuse(context, flags.value('security'), flags.values('device'));
  context.needed('a command');
  const network = networkOf(context, flags.value('network'));
  const command = commandOf(context);
  return { kind: 'run', command, mounts, network, ...context.placed() };
}

function refuse(context: Context, security: Word | undefined, devices: readonly Word[]): void {
  if (security && security.text !== 'sandbox')
    throw context.source.error(security.at, 'a build has no privileges to give: --security can only be sandbox', {
      code: 'unsupported',
    });
  if (devices[0])
    throw context.source.error(devices[0].at, 'a build has no devices of the host to give: leave --device out', {
      code: 'unsupported',
    });
}

function networkOf(context: Context, word: Word | undefined): RunInstruction['network'] {
  const mode = word?.text ?? 'default';
  if (mode === 'default' || mode === 'none' || mode === 'host') return mode;
  throw context.source.error(word?.at ?? context.at, `--network is default, none or host, not ${JSON.stringify(mode)}`);
}

/** With several here-documents, or a command before them, the shell gets them all and reads them itself. */
function commandOf(context: Context): RunCommand {
  if (Array.isArray(parseJsonWords(context.rest))) return context.command();
  const heredocs = context.heredocs();
  const first = heredocs[0];
  if (first === undefined) return context.command();
  const { text } = context.rest;
  if (heredocs.length > 1 || !parseOpening(text))
    return { form: 'shell', text: text + heredocs.map(({ raw, name }) => `\n${raw}${name}`).join('') };
  return first.content.startsWith('#!')
    ? { form: 'script', name: first.name, text: first.content }
    : { form: 'shell', text: first.content };
}
