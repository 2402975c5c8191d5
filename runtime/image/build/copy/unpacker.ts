/**
 * What xz and bzip2 have packed, unpacked by these programs where the machine has them, as dockerd does it for xz: Node and the addon have neither.
 * The program reads the file by descriptor, in a process of its own; it gets no options from the environment, and only so much memory.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { TareError } from '../../../kernel/error.js';
import { OPEN_UNTRUSTED } from '../../../kernel/read-regular.js';

export type Unpacker = 'xz' | 'bzip2';

/** `xz -9` needs 65 MB to unpack; an archive may ask for 4 GB. xz(1), --memlimit-decompress; bzip2 never needs more than 4 MB. */
const OPTIONS: Readonly<Record<Unpacker, readonly string[]>> = {
  xz: ['--decompress', '--stdout', '--threads=1', '--memlimit-decompress=512MiB'],
  bzip2: ['--decompress', '--stdout'],
};

/** In Debian. */
const PACKAGES: Readonly<Record<Unpacker, string>> = { xz: 'xz-utils', bzip2: 'bzip2' };

/**
 * What the file holds. Who stops reading ends the program.
 * @throws TareError `unsupported` where the program is missing, `protocol` for what it cannot unpack
 */
export async function* unpackedBy(program: Unpacker, fd: number): AsyncGenerator<Uint8Array, void, void> {
  const file = openSync(`/proc/self/fd/${fd}`, OPEN_UNTRUSTED);
  const child = spawn(program, OPTIONS[program], {
    stdio: [file, 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
  });
  closeSync(file);
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, MAX_SAID);
  });
  const ended = new Promise<{ code: number | null; error?: NodeJS.ErrnoException }>((resolve) => {
    child.on('error', (error) => resolve({ code: null, error }));
    child.on('close', (code) => resolve({ code }));
  });
  try {
    if (child.stdout) yield* child.stdout as AsyncIterable<Uint8Array>;
    const { code, error } = await ended;
    if (error) throw missing(program, error);
    if (code !== 0)
      throw new TareError('protocol', `the archive is not what ${program} can unpack, or is damaged: ${said.trim()}`);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

const MAX_SAID = 500;

function missing(program: Unpacker, cause: NodeJS.ErrnoException): TareError {
  if (cause.code !== 'ENOENT')
    return new TareError('state', `the program ${program} cannot be started: ${cause.message}`, { cause });
  return new TareError(
    'unsupported',
    `to unpack it the program ${program} is needed, which is not here: install it (in Debian, the package ${PACKAGES[program]})`,
    { cause },
  );
}
