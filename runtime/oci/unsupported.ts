/**
 * What the specification has and this version of Tare does not do yet. A bundle that asks for one of these is refused by
 * name: a container that silently lacks what its config.json asks for is worse than none. A field that asks for nothing
 * (an empty list, an empty string) is fine.
 */
import type { Config } from './config.js';
import type { Fault } from './schema.js';

/** One fault for each thing asked for that cannot be had. */
export function unsupported(config: Config): Fault[] {
  const { linux } = config;
  const asked: [path: string, value: unknown, what: string][] = [
    ...(['solaris', 'windows', 'vm', 'zos', 'freebsd'] as const).map((os): [string, unknown, string] => [
      os,
      // A container for Linux may carry the section of another platform: it "MAY be ignored" there, so only its lone presence is a request.
      linux === undefined ? config[os] : undefined,
      `a container for ${os}`,
    ]),
  ];
  return asked
    .filter(([, value]) => isAsked(value))
    .map(([path, , what]) => ({ path, message: `asks for ${what}, which this version of Tare cannot do yet` }));
}

function isAsked(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return false;
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return true;
}
