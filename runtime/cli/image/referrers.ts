/** `tare image referrers`: what a registry has that refers to an image: signatures, bills of materials, attestations. */
import { Command } from 'commander';
import { parseReference } from '../../image/reference.js';
import { findReferrers, type Referrers } from '../../image/registry/index.js';
import type { Descriptor } from '../../oci/image/index.js';
import { interruptible } from '../interrupt.js';
import { formatTable, json, print, printable } from '../print.js';
import { formatBytes } from '../progress.js';
import { addRegistryOptions, type RegistryFlags, registryOptions } from './registry-options.js';

interface Flags extends RegistryFlags {
  readonly artifactType?: string;
  readonly json?: boolean;
}

export function referrersCommand(): Command {
  return addRegistryOptions(new Command('referrers'))
    .argument('<name>', 'as registry.example/app:1.0 or name@sha256:...')
    .option('--artifact-type <type>', 'only those of this kind')
    .option('--json', 'for machines, with their annotations')
    .addHelpText(
      'after',
      `
The registry is asked, nothing is downloaded. Of an image for several platforms each platform can have some of its own: they are those
of its digest, which "tare image inspect" prints.

Examples:
  tare image referrers registry.example/app:1.0
  tare image referrers --artifact-type application/spdx+json registry.example/app@sha256:7f01...`,
    )
    .action((name: string, { artifactType, json: forMachines, ...flags }: Flags) =>
      interruptible(async (signal) => {
        const kind = artifactType === undefined ? {} : { artifactType };
        const found = await findReferrers(parseReference(name), { ...registryOptions(flags), ...kind, signal });
        await print(forMachines ? json(found) : asText(found));
      }),
    );
}

function asText({ referrers }: Referrers): string {
  const header = ['ARTIFACT TYPE', 'SIZE', 'DIGEST'];
  const rows = referrers.map(({ artifactType = '-', size, digest }: Descriptor) => [
    artifactType,
    formatBytes(size),
    digest,
  ]);
  return formatTable([header, ...rows.map((row) => row.map(printable))]);
}
