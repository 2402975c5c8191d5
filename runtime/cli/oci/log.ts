/**
 * Errors as runc's callers read them: a line in the file of `--log`, as text or as JSON, and words that containerd, Docker and Podman look
 * for in it (`does not exist`, `container not running`, `executable file not found in $PATH`). The sentence of Tare's own follows.
 */
import { appendFileSync } from 'node:fs';
import { TareError } from '../../kernel/error.js';
import { printNow } from '../print.js';
import { warn } from '../report-error.js';
import type { Globals } from './context.js';

/** Writes to the log, if there is one. @throws TareError `usage` when it cannot be written */
export function log({ log: path, logFormat }: Globals, level: 'error' | 'warning' | 'debug', message: string): void {
  append(path, entry(logFormat, level, message));
}

/** Makes the log, before anything is done that it should tell of. @throws TareError `usage` when it cannot be written */
export function checkLog({ log: path }: Globals): void {
  append(path, '');
}

function append(path: string | undefined, text: string): void {
  if (!path) return;
  try {
    appendFileSync(path, text);
  } catch (cause) {
    throw new TareError('usage', `--log ${path} cannot be written: ${(cause as Error).message}`, { cause, path });
  }
}

/** An error as standard error has it, without the newline: what is to be JSON is that also where there is no log. */
export function errorLine({ log: path, logFormat }: Globals, message: string): string {
  return logFormat === 'json' && !path ? entry('json', 'error', message).trimEnd() : `tare-oci: ${message}`;
}

/** Only with `--debug`; where there is no log, on standard error. */
export function debug(globals: Globals, message: string): void {
  if (!globals.debug) return;
  if (globals.log) log(globals, 'debug', message);
  else printNow(2, entry(globals.logFormat, 'debug', message));
}

function entry(format: Globals['logFormat'], level: string, msg: string): string {
  const time = new Date().toISOString();
  if (format === 'json') return `${JSON.stringify({ level, msg, time })}\n`;
  return `time="${time}" level=${level} msg=${JSON.stringify(msg)}\n`;
}

/** A sentence that does not end the command: to the log, or where there is none to standard error, which is the container's as well. */
export function warning(globals: Globals, sentence: string): void {
  if (globals.log) log(globals, 'warning', sentence);
  else if (globals.logFormat === 'json') printNow(2, entry('json', 'warning', sentence));
  else warn('tare-oci', sentence);
}

/** The error with the words by which engines tell what happened. */
export function withEngineWords(error: unknown): unknown {
  if (!(error instanceof TareError)) return error;
  const [before, after] = [wordsFor(error), errnoWords(error)].map((words) =>
    words === undefined || error.message.includes(words) ? undefined : words,
  );
  if (before === undefined && after === undefined) return error;
  const message = [before, error.message, before?.includes(after ?? '') ? undefined : after];
  return new TareError(error.code, message.filter((part) => part !== undefined).join(': '), {
    cause: error,
    ...(error.syscall && { syscall: error.syscall }),
    ...(error.path !== undefined && { path: error.path }),
  });
}

/**
 * What a failed system call is by strerror(3): Podman gives 127 and 126 by these words (libpod/oci_util.go), and so does Docker's daemon,
 * which also tells who has mounted a folder over a file what that is (daemon/errors.go).
 */
function errnoWords({ code, syscall, message }: TareError): string | undefined {
  // Of these all has been said before the sentence.
  if (code === 'command-not-found' || code === 'command-not-executable') return undefined;
  // A mount point that cannot be made (below /proc) is no program that is missing: runc says that in other words.
  if (/^(mkdir|create)_in_root\(.*: ENOENT\b/.test(message)) return undefined;
  // move_mount(2) says EINVAL where mount(2) has said ENOTDIR.
  if (message.includes('which must be a file')) return STRERROR.ENOTDIR;
  return STRERROR[syscall?.errno ?? /: (E[A-Z]+)\b/.exec(message)?.[1] ?? ''];
}

const STRERROR: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
};

/** Docker's daemon gives 127 and 126 by these words (daemon/start.go), containerd's shim takes others for "is gone" (process/utils.go). */
function wordsFor(error: TareError): string | undefined {
  const program = /^"((?:[^"\\]|\\.)*)"/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'command-not-found':
      return program.includes('/')
        ? `exec ${program}: no such file or directory`
        : `exec: "${program}": executable file not found in $PATH`;
    case 'command-not-executable':
      return error.syscall?.errno === 'ENOEXEC'
        ? `exec: "${program}": exec format error`
        : `exec: "${program}": permission denied`;
    case 'not-found':
      return /^there is no container/.test(error.message) ? 'container does not exist' : undefined;
    case 'permission':
      return 'permission denied';
    case 'config': {
      const [, field] = /\blinux\.memoryPolicy\.(mode|node|flag)/.exec(error.message) ?? [];
      return field && `invalid memory policy ${field}`;
    }
    default: {
      if (/\(process\.cwd: /.test(error.message)) return 'chdir to cwd failed';
      const [, name, number] = /\bhooks\.([a-zA-Z]+)\[(\d+)\]/.exec(error.message) ?? [];
      return name && `error running ${name} hook #${number}`;
    }
  }
}
