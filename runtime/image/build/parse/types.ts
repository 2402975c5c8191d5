/**
 * What a Dockerfile says, before any variable is expanded: stages of instructions, every word with the place where it stands. The language is
 * that of BuildKit's `docker/dockerfile:1`. https://docs.docker.com/reference/dockerfile/
 */
import type { Source } from './source.js';

/** Both from 1; columns in UTF-16 units, as editors count. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** As it is written: quotes, escapes and variables are still in it. */
export interface Word {
  readonly text: string;
  readonly at: Position;
}

export interface Dockerfile {
  readonly file: string;
  /** To make errors and warnings with a place. */
  readonly source: Source;
  readonly directives: Directives;
  /** ARG before the first FROM: only FROM sees them, and an ARG of the same name without a value. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly Warning[];
}

/** `# syntax=`, `# escape=`, `# check=` at the very beginning. */
export interface Directives {
  readonly syntax?: string;
  readonly escape: Escape;
  readonly check?: string;
}
export type Escape = '\\' | '`';

export interface Stage {
  /** From 0. */
  readonly index: number;
  /** In lower case. */
  readonly name?: string;
  readonly base: Word;
  readonly platform?: Word;
  readonly instructions: readonly Instruction[];
  readonly at: Position;
  readonly original: string;
}

/** What could be better, but is not wrong. The names of the rules are BuildKit's where it has the rule. */
export interface Warning {
  readonly rule: string;
  readonly message: string;
  readonly at: Position;
}

interface Placed {
  readonly at: Position;
  /** The last line that belongs to it, heredocs included. */
  readonly lastLine: number;
  /** The instruction on one line, without its heredocs. */
  readonly original: string;
}

/** Of CMD, ENTRYPOINT, HEALTHCHECK CMD: a line for the shell, or the arguments themselves. Neither is expanded: the shell does that. */
export type Command =
  | { readonly form: 'shell'; readonly text: string }
  | { readonly form: 'exec'; readonly args: readonly string[] };

export interface Pair {
  readonly key: Word;
  readonly value: Word;
}

/** A file that is written in the Dockerfile itself. */
export interface Heredoc {
  readonly name: string;
  /** Not so when a part of the delimiter is quoted. */
  readonly expand: boolean;
  /** Tabs at the beginnings of lines have been taken away where `<<-` asks for it. */
  readonly content: string;
  /** The lines as they are written. */
  readonly raw: string;
  readonly at: Position;
}

export type CopySource =
  | { readonly kind: 'path'; readonly path: Word }
  | { readonly kind: 'heredoc'; readonly heredoc: Heredoc };

interface CopyLike extends Placed {
  readonly sources: readonly CopySource[];
  readonly destination: Word;
  readonly chown?: Word;
  readonly chmod?: Word;
  readonly link: boolean;
  readonly exclude: readonly Word[];
}

export interface CopyInstruction extends CopyLike {
  readonly kind: 'copy';
  /** A stage by name or number, or an image. Not expanded. */
  readonly from?: Word;
  readonly parents: boolean;
}

export interface AddInstruction extends CopyLike {
  readonly kind: 'add';
  readonly checksum?: Word;
  readonly keepGitDir: boolean;
  /** undefined: local archives are unpacked, downloaded ones are not. */
  readonly unpack?: boolean;
}

/** A `script` is a heredoc that begins with `#!`: it is run as a file of that name. */
export type RunCommand = Command | { readonly form: 'script'; readonly name: string; readonly text: string };

export interface RunInstruction extends Placed {
  readonly kind: 'run';
  readonly command: RunCommand;
  /** The values of --mount, to be read by `parseMount` when their variables are known. */
  readonly mounts: readonly Word[];
  readonly network: 'default' | 'none' | 'host';
}

export interface ArgInstruction extends Placed {
  readonly kind: 'arg';
  readonly args: readonly { readonly name: Word; readonly value?: Word }[];
}
export interface EnvInstruction extends Placed {
  readonly kind: 'env' | 'label';
  readonly pairs: readonly Pair[];
}
export interface CommandInstruction extends Placed {
  readonly kind: 'cmd' | 'entrypoint';
  readonly command: Command;
}
export interface WordInstruction extends Placed {
  readonly kind: 'user' | 'workdir' | 'stopsignal' | 'maintainer';
  readonly value: Word;
}
export interface WordsInstruction extends Placed {
  readonly kind: 'expose' | 'volume';
  readonly values: readonly Word[];
}
export interface ShellInstruction extends Placed {
  readonly kind: 'shell';
  readonly args: readonly string[];
}
export interface HealthcheckInstruction extends Placed {
  readonly kind: 'healthcheck';
  /** undefined: NONE. */
  readonly command?: Command;
  /** In nanoseconds, as the image's config has it. */
  readonly interval?: number;
  readonly timeout?: number;
  readonly startPeriod?: number;
  readonly startInterval?: number;
  readonly retries?: number;
}
export interface OnbuildInstruction extends Placed {
  readonly kind: 'onbuild';
  readonly instruction: Instruction;
  /** As the config of the image keeps it, heredocs included. */
  readonly trigger: string;
}

export type Instruction =
  | AddInstruction
  | ArgInstruction
  | CommandInstruction
  | CopyInstruction
  | EnvInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | RunInstruction
  | ShellInstruction
  | WordInstruction
  | WordsInstruction;

/** A mount of RUN, expanded. */
export interface RunMount {
  readonly type: 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';
  readonly from?: string;
  readonly source?: string;
  readonly target?: string;
  readonly readOnly: boolean;
  /** Of a tmpfs, in bytes. */
  readonly size?: number;
  readonly id?: string;
  readonly sharing?: 'shared' | 'private' | 'locked';
  readonly required: boolean;
  /** Of a secret: the variable that has it; an empty name stands for the id. */
  readonly env?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly at: Position;
}
