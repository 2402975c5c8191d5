/**
 * What can only be said of a Dockerfile as a whole: a stage that is used before it is there, and warnings for what works but is not what is
 * likely meant. `# check=skip=RULE,…` silences rules, `# check=skip=all` all of them; `error=true` makes errors of the others. https://docs.docker.com/reference/build-checks/
 */
import { nearest } from '../../near.js';
import { stageOf } from './stages.js';
import type { Dockerfile, Instruction, Position, Stage, Warning, Word } from './types.js';

/** Adds warnings. @throws TareError `config` for a stage that is not there */
export function checkDockerfile(dockerfile: Dockerfile & { readonly warnings: Warning[] }): void {
  const warn = (rule: string, message: string, at: Position) => dockerfile.warnings.push({ rule, message, at });
  checkNames(dockerfile, warn);
  checkCasing(dockerfile, warn);
  for (const stage of dockerfile.stages) {
    checkOnlyOnce(stage, warn);
    for (const instruction of stage.instructions) {
      for (const word of stagesUsed(instruction)) checkFrom(dockerfile, stage, word, warn);
      checkSecrets(instruction, warn);
    }
  }
  silence(dockerfile);
  const [first] = dockerfile.warnings;
  if (first && /(?:^|;)\s*error\s*=\s*true\s*(?:;|$)/i.test(dockerfile.directives.check ?? ''))
    throw dockerfile.source.error(first.at, `${first.message} (${first.rule}, an error by "check=error=true")`);
}

type Warn = (rule: string, message: string, at: Position) => void;

function checkNames({ stages }: Dockerfile, warn: Warn): void {
  const names = new Set<string>();
  for (const { name, at } of stages) {
    if (name === undefined) continue;
    if (names.has(name))
      warn('DuplicateStageName', `there is an earlier stage "${name}": from here on this one is meant`, at);
    if (name === 'scratch' || name === 'context')
      warn('ReservedStageName', `"${name}" has a meaning of its own: call the stage otherwise`, at);
    names.add(name);
  }
}

function checkFrom(dockerfile: Dockerfile, stage: Stage, { text, at }: Word, warn: Warn): void {
  const { source, stages } = dockerfile;
  if (stageOf(dockerfile, stage.index, text)) return;
  if (/^\d+$/.test(text)) {
    const there =
      stage.index === 0
        ? 'there is no stage before this one'
        : `the stages before this one are 0 to ${stage.index - 1}`;
    throw source.error(at, `there is no stage ${text} to copy from: ${there}`);
  }
  if (text.toLowerCase() === stage.name) throw source.error(at, `the stage "${text}" cannot copy from itself`);
  const later = stages.slice(stage.index + 1).find(({ name }) => name === text.toLowerCase());
  if (later) throw source.error(at, `the stage "${text}" comes later (line ${later.at.line}): put it before this one`);
  const near = nearest(
    text,
    stages.slice(0, stage.index).flatMap(({ name }) => name ?? []),
  );
  if (near !== undefined)
    warn('NearStageName', `there is no stage "${text}", so this is an image; is the stage "${near}" meant?`, at);
}

function stagesUsed(instruction: Instruction): Word[] {
  if (instruction.kind === 'copy') return instruction.from ? [instruction.from] : [];
  if (instruction.kind !== 'run') return [];
  return instruction.mounts.flatMap(({ text, at }) => {
    const from = /(?:^|,)from=([^,"]+)/i.exec(text)?.[1];
    return from === undefined ? [] : [{ text: from, at }];
  });
}

/** Most are written in one way; the others are told. */
function checkCasing({ stages, globalArgs }: Dockerfile, warn: Warn): void {
  const all = [...globalArgs, ...stages.flatMap((stage) => [stage, ...stage.instructions])];
  const names = all.map(({ at, original }) => ({ at, name: /^\S*/.exec(original)?.[0] ?? '' }));
  const upper = names.filter(({ name }) => name === name.toUpperCase()).length;
  const lower = names.filter(({ name }) => name === name.toLowerCase()).length;
  const capitals = upper >= lower;
  for (const { at, name } of names) {
    if (name === (capitals ? name.toUpperCase() : name.toLowerCase())) continue;
    const others = capitals ? 'in capitals' : 'in small letters';
    warn('ConsistentInstructionCasing', `write ${name} ${others}, like most of the instructions here`, at);
  }
}

function checkOnlyOnce(stage: Stage, warn: Warn): void {
  for (const kind of ['cmd', 'entrypoint', 'healthcheck'] as const) {
    const those = stage.instructions.filter((instruction) => instruction.kind === kind);
    for (const { at } of those.slice(0, -1))
      warn(
        'MultipleInstructionsDisallowed',
        `only the last ${kind.toUpperCase()} of a stage counts: this one does nothing`,
        at,
      );
  }
}

function checkSecrets(instruction: Instruction, warn: Warn): void {
  const names =
    instruction.kind === 'arg'
      ? instruction.args.map(({ name }) => name)
      : instruction.kind === 'env'
        ? instruction.pairs.map(({ key }) => key)
        : [];
  for (const { text, at } of names) {
    if (!SECRET.test(text) || PUBLIC.test(text)) continue;
    warn('SecretsUsedInArgOrEnv', `the value of ${text} can be read in the image: use RUN --mount=type=secret`, at);
  }
}

const SECRET = /(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const PUBLIC = /(?:^|_)public(?:_|$)/i;

function silence({ directives, warnings }: { directives: Dockerfile['directives']; warnings: Warning[] }): void {
  const skip = /(?:^|;)\s*skip\s*=\s*([^;]*)/i.exec(directives.check ?? '')?.[1]?.split(',') ?? [];
  const rules = new Set(skip.map((rule) => rule.trim().toLowerCase()));
  const kept = warnings.filter(({ rule }) => !rules.has('all') && !rules.has(rule.toLowerCase()));
  kept.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  warnings.length = 0;
  for (const warning of kept) warnings.push(warning);
}
