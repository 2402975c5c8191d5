/** Resource limits by name and number. <asm-generic/resource.h>; getrlimit(2). */
import { TareError } from './error.js';

/** In the order of the kernel: the position is the number. */
export const RLIMITS = [
  'RLIMIT_CPU',
  'RLIMIT_FSIZE',
  'RLIMIT_DATA',
  'RLIMIT_STACK',
  'RLIMIT_CORE',
  'RLIMIT_RSS',
  'RLIMIT_NPROC',
  'RLIMIT_NOFILE',
  'RLIMIT_MEMLOCK',
  'RLIMIT_AS',
  'RLIMIT_LOCKS',
  'RLIMIT_SIGPENDING',
  'RLIMIT_MSGQUEUE',
  'RLIMIT_NICE',
  'RLIMIT_RTPRIO',
  'RLIMIT_RTTIME',
] as const;

/** No limit. */
export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** The number of `RLIMIT_NOFILE`. @throws TareError `config` for a name that is none. */
export function rlimitNumber(name: string): number {
  const number = (RLIMITS as readonly string[]).indexOf(name);
  if (number < 0)
    throw new TareError('config', `${JSON.stringify(name)} is no resource limit; getrlimit(2) lists them`);
  return number;
}
