/**
 * `tare build`: an image from a Dockerfile and the folder that it copies from. Progress goes to standard error; with --quiet the image's id to standard
 * output. A RUN that fails ends it with 1, as with docker; what Tare itself cannot do with 125.
 */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import {
  type BuildOptions,
  type BuildResult,
  build,
  parseOutput,
  parseSecret,
  writeOutput,
} from '../image/build/index.js';
import { type Dockerfile, type Position, parseDockerfile } from '../image/build/parse/index.js';
import { epochOf } from '../image/build/variables.js';
import { parsePlatform } from '../image/platform.js';
import { fullName, parseReference } from '../image/reference.js';
import { ImageStore } from '../image/store/index.js';
import { TareError } from '../kernel/error.js';
import { writeFileAtomic } from '../kernel/files.js';
import { addForeignOptions, checkForeignOptions } from './build-foreign.js';
import { openInput } from './build-input.js';
import { makeBuildProgress, type ProgressMode, plainText } from './build-progress.js';
import { collect } from './collect.js';
import { interruptible } from './interrupt.js';
import { inOwnUserNamespace } from './own-users.js';
import { print, printable, printNow } from './print.js';
import { standardError } from './progress.js';
import { reportError } from './report-error.js';

interface Options {
  readonly tag?: readonly string[];
  readonly file?: string;
  readonly target?: string;
  readonly buildArg?: readonly string[];
  readonly label?: readonly string[];
  readonly secret?: readonly string[];
  readonly cache: boolean;
  readonly noCacheFilter?: readonly string[];
  readonly addHost?: readonly string[];
  readonly check?: boolean;
  readonly pull?: boolean;
  readonly platform?: string;
  readonly network?: string;
  readonly allow?: readonly string[];
  readonly progress: string;
  readonly quiet?: boolean;
  readonly iidfile?: string;
  readonly metadataFile?: string;
  readonly output?: readonly string[];
}

export function buildCommand(): Command {
  const command = new Command('build')
    .argument(
      '<context>',
      'the folder to copy from; "-": standard input, a tar archive of it, or a Dockerfile that needs none',
    )
    .option('-t, --tag <name>', 'a name for the image; may be repeated', collect)
    .option('-f, --file <path>', 'the Dockerfile; CONTEXT/Dockerfile unless told; "-": standard input')
    .option('--target <stage>', 'build this stage, and what it needs')
    .option('--build-arg <NAME=value>', 'a value for an ARG; the name alone passes on the caller’s', collect)
    .option('--label <name=value>', 'a label of the image', collect)
    .option('--secret <id=name,src=file>', 'a secret for RUN --mount=type=secret; or id=name,env=VARIABLE', collect)
    .option('--no-cache', 'do every step, whatever earlier builds have come to')
    .addOption(noCacheFilter())
    .option('--pull', 'ask the registry for base images that are here too')
    .option('--platform <os/arch>', 'build for another platform')
    .option('--network <none|host>', 'the network of RUN; none unless told')
    .option('--add-host <name:address>', 'a line of /etc/hosts for RUN', collect)
    .option('--allow <network.host>', 'let RUN --network=host of the Dockerfile have it', collect)
    .option('--check', 'tell what is wrong or unusual in the Dockerfile, and build nothing')
    .option('--progress <auto|plain|quiet>', 'how progress is shown', 'auto')
    .option('-q, --quiet', 'print nothing but the image’s id')
    .option('--iidfile <path>', 'write the image’s id to a file')
    .option('--metadata-file <path>', 'write the digests of the image to a file, as JSON')
    .option('-o, --output <type=...,dest=...>', 'write the result elsewhere: local, tar, oci or docker', collect)
    .addHelpText(
      'after',
      `
A container of RUN has no network unless --network=host gives it this machine's; with --allow network.host only where the Dockerfile asks for it.
With SOURCE_DATE_EPOCH, in the environment or as --build-arg, the same input gives the same bytes on any day.

Examples:
  tare build -t hello .
  tare build -t app -f docker/Dockerfile --target test --build-arg VERSION=1.2 .
  tare build --network=host --secret id=token,src=$HOME/.token -t app .
  echo 'FROM localhost/busybox' | tare build -t copy -
  git archive HEAD | tare build -t app -
  SOURCE_DATE_EPOCH=0 tare build -t same .
  tare build -o type=local,dest=./out --target binaries .`,
    )
    .action(async (context: string, options: Options) => {
      if (await inOwnUserNamespace()) return;
      const mode = modeOf(options);
      const told = checkForeignOptions({ ...options });
      const outputs = (options.output ?? []).map(parseOutput);
      const progress = makeBuildProgress(mode, standardError);
      await interruptible(async (signal) => {
        try {
          for (const text of told) progress.report({ kind: 'warning', text });
          using store = await ImageStore.open();
          if (options.check) return await checkOnly(store, context, options);
          const result = await run(store, context, options, progress.report, signal);
          progress.close();
          for (const output of outputs) await writeOutput(store, result, output, signal);
          await report(
            result,
            options,
            mode,
            outputs.some(({ dest }) => dest === '-'),
          );
        } catch (error) {
          progress.close();
          const exitCode = explain(error, mode);
          // What Ctrl-C ends with is said there.
          if (signal.aborted) throw error;
          process.exitCode = exitCode;
        }
      });
    });
  return addForeignOptions(command);
}

async function run(
  store: ImageStore,
  contextPath: string,
  options: Options,
  onEvent: BuildOptions['onEvent'],
  signal: AbortSignal,
): Promise<BuildResult> {
  const names = (options.tag ?? []).map((name) => {
    const reference = parseReference(name);
    if (reference.digest === undefined) return reference;
    throw new TareError('usage', `--tag ${name}: a name with a digest cannot be given`);
  });
  await using input = await openInput(store, contextPath, options.file);
  return await build(store, {
    ...input,
    names,
    ...(options.target !== undefined && { target: options.target }),
    args: new Map((options.buildArg ?? []).flatMap((text) => pair('--build-arg', text, process.env))),
    labels: new Map((options.label ?? []).flatMap((text) => pair('--label', text))),
    secrets: (options.secret ?? []).map((text) => parseSecret(text)),
    noCache: !options.cache,
    noCacheStages: (options.noCacheFilter ?? []).flatMap((names) => names.split(',')),
    hosts: (options.addHost ?? []).map(hostLine),
    pull: options.pull ? 'always' : 'missing',
    ...(options.platform !== undefined && { platform: parsePlatform(options.platform) }),
    ...(options.network !== undefined && { network: networkOf(options.network) }),
    allowHostNetwork: isAllowed(options.allow ?? []),
    ...(process.env.SOURCE_DATE_EPOCH && { epoch: epochOf(process.env.SOURCE_DATE_EPOCH) }),
    ...(onEvent && { onEvent }),
    signal,
  });
}

function modeOf({ progress, quiet }: Options): ProgressMode {
  if (quiet) return 'quiet';
  if (progress === 'auto' || progress === 'plain' || progress === 'quiet') return progress;
  // What docker calls it.
  if (progress === 'tty') return 'auto';
  throw new TareError('usage', `--progress ${progress}: must be auto, plain or quiet`);
}

/** It takes a value; to commander a name with `no-` is the opposite of another option. */
function noCacheFilter(): Option {
  const option = new Option('--no-cache-filter <stages>', 'do every step of these stages').argParser(collect);
  option.negate = false;
  return option;
}

/** Ends with 1 where there is anything to say, as docker's does. */
async function checkOnly(store: ImageStore, contextPath: string, options: Options): Promise<void> {
  await using input = await openInput(store, contextPath, options.file);
  const { source, warnings } = parseDockerfile(input.dockerfile, input.file);
  for (const { rule, message, at } of warnings)
    await print(`${rule}: ${source.place(at)}: ${plainText(message)}\n${excerpt(source, at)}`);
  if (warnings.length > 0) process.exitCode = 1;
  else await print('no warnings\n');
}

function excerpt(source: Dockerfile['source'], at: Position): string {
  const lines = source.excerpt(at).split('\n');
  return lines.map((line) => `  ${plainText(line)}\n`).join('');
}

/** `NAME:ADDRESS` or, as Docker takes it too, `NAME=ADDRESS`. */
function hostLine(text: string): string {
  const [, name = '', address = ''] = /^([\w.-]+)[:=]\[?([0-9a-fA-F:.]+)\]?$/.exec(text) ?? [];
  if (isIP(address) === 0) throw new TareError('usage', `--add-host ${text}: must be NAME:ADDRESS`);
  return `${address} ${name}`;
}

function networkOf(text: string): 'none' | 'host' {
  if (text === 'none' || text === 'host') return text;
  if (text === 'default') return 'none';
  throw new TareError('usage', `--network ${text}: must be none or host, as Tare has no other network yet`);
}

function isAllowed(allow: readonly string[]): boolean {
  const other = allow.find((one) => one !== 'network.host');
  if (other === undefined) return allow.length > 0;
  throw new TareError('usage', `--allow ${other}: there is only network.host to be allowed`);
}

/** `NAME=value`; where there is an environment the name alone passes on its value, if it has one. */
function pair(option: string, text: string, env?: NodeJS.ProcessEnv): [string, string][] {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  if (name === '') throw new TareError('usage', `${option} ${text}: must be NAME=value`);
  if (at >= 0) return [[name, text.slice(at + 1)]];
  const value = env ? env[name] : '';
  return value === undefined ? [] : [[name, value]];
}

/** @param isTaken an archive has gone to standard output, and nothing comes after it */
async function report(
  { digest, imageId }: BuildResult,
  options: Options,
  mode: ProgressMode,
  isTaken: boolean,
): Promise<void> {
  if (options.iidfile !== undefined) writeFileAtomic(resolve(options.iidfile), imageId, { mode: 0o644 });
  if (options.metadataFile !== undefined) {
    const names = (options.tag ?? []).map((name) => fullName(parseReference(name))).join(',');
    const facts = {
      'containerimage.config.digest': imageId,
      'containerimage.digest': digest,
      ...(names !== '' && { 'image.name': names }),
    };
    writeFileAtomic(resolve(options.metadataFile), `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o644 });
  }
  if (mode === 'quiet') await (isTaken ? undefined : print(`${imageId}\n`));
  else printNow(2, `image ${imageId}\n${(options.tag ?? []).map((name) => `named ${printable(name)}\n`).join('')}`);
}

/** An error of several lines: what is wrong, the line of the Dockerfile, and a mark below it. Of a RUN also what it printed. */
function explain(error: unknown, mode: ProgressMode): number {
  if (!(error instanceof TareError) || !error.message.includes('\n')) return reportError('tare', error);
  // Where each line is shown as it comes, it has been.
  const isShown = mode === 'plain' || (mode === 'auto' && !standardError.isTTY);
  const output = 'output' in error && !isShown ? String(error.output) : '';
  for (const line of output.split('\n').filter((one) => one !== '')) printNow(2, `  ${plainText(line)}\n`);
  const [first = '', ...excerpt] = error.message.split('\n').map(plainText);
  printNow(2, `tare: ${first}\n${excerpt.map((line) => `  ${line}\n`).join('')}`);
  return error.exitCode;
}
