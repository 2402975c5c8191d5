/**
 * Options of `docker build` that Tare has no use for, or no means: scripts give them. Some change nothing here and are taken in silence, some are told of,
 * and those without which the result would be another are refused with what to do instead.
 */
import { type Command, Option } from 'commander';
import { TareError } from '../kernel/error.js';
import { collect } from './collect.js';

/** These say what is so here anyway, or nothing that counts. */
const SILENT = ['--load', '--rm', '--force-rm', '--compress', '--builder <name>', '--isolation <default>'];

/** The build is the same without them. */
const IGNORED: Readonly<Record<string, string>> = {
  '--cache-from <source>': 'what earlier builds have come to is taken from the store of this machine alone',
  '--cache-to <target>': 'what this build comes to is kept in the store of this machine alone',
};

const REFUSED: Readonly<Record<string, string>> = {
  '--build-context <name=path>': 'a build has one context: make an image of the other folder, and COPY --from it',
  '--ssh <agent>': 'Tare gives no SSH agent to a build: use --secret for a key',
  '--push': 'name the image by --tag, and then: tare push NAME',
  '--squash': 'layers are not put together: build in one stage, and COPY --from it into another',
  '--annotation <name=value>': 'Tare writes no annotations: use --label',
  '--shm-size <bytes>': 'use RUN --mount=type=tmpfs,target=/dev/shm,size=… where it is needed',
  '--ulimit <limit>': 'a RUN has the limits of this process: set them with ulimit before',
  '--memory <bytes>': 'a RUN has no limits of its own: run the build in a control group that has',
  '--cpuset-cpus <list>': 'a RUN has no limits of its own: run the build with taskset',
  '--security-opt <option>': 'every RUN is confined in the same way',
  '--cgroup-parent <cgroup>': 'the environment variable TARE_CGROUP_PARENT says where containers go',
};

/** Attestations: `false` is what is so. */
const ATTESTATIONS = ['--provenance <value>', '--sbom <value>', '--attest <value>'];

export function addForeignOptions(command: Command): Command {
  const all = [...SILENT, ...Object.keys(IGNORED), ...Object.keys(REFUSED), ...ATTESTATIONS];
  for (const flags of all) command.addOption(new Option(flags).argParser(collect).hideHelp());
  return command;
}

/** @param given of commander @returns what is to be told @throws TareError `usage` for those that are refused */
export function checkForeignOptions(given: Readonly<Record<string, unknown>>): string[] {
  const isGiven = (flags: string) => given[new Option(flags).attributeName()] !== undefined;
  for (const [flags, why] of Object.entries(REFUSED))
    if (isGiven(flags)) throw new TareError('usage', `${nameOf(flags)} is not supported: ${why}`);
  for (const flags of ATTESTATIONS) {
    const value = given[new Option(flags).attributeName()];
    const isOff = [value].flat().every((one) => /^(?:false|0|type=\w+,disabled=true)$/.test(String(one)));
    if (value !== undefined && !isOff)
      throw new TareError('usage', `${nameOf(flags)} is not supported: Tare writes no attestations`);
  }
  return Object.entries(IGNORED).flatMap(([flags, why]) => (isGiven(flags) ? `${nameOf(flags)}: ${why}` : []));
}

function nameOf(flags: string): string {
  return flags.split(' ')[0] as string;
}
