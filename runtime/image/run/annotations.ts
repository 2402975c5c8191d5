/**
 * What of an image becomes annotations of its container: facts under the names of the specification, and its labels, which win over them. Labels are a
 * stranger's, so none may be an annotation that changes what Tare does. conversion.md, "Annotation Fields"; annotations.md.
 */
import type { ImageConfig } from '../../oci/image/index.js';
import { ANNOTATIONS } from '../../oci/index.js';

/** Docker's health check, as JSON: the specification has no place for it. */
export const HEALTHCHECK = 'dev.tare.image.healthcheck';

export function imageAnnotations(image: ImageConfig): Record<string, string> {
  const { config = {} } = image;
  const facts: Record<string, string | undefined> = {
    'org.opencontainers.image.os': image.os,
    'org.opencontainers.image.architecture': image.architecture,
    'org.opencontainers.image.variant': image.variant,
    'org.opencontainers.image.os.version': image['os.version'],
    'org.opencontainers.image.os.features': image['os.features']?.join(','),
    'org.opencontainers.image.author': image.author,
    'org.opencontainers.image.created': image.created,
    'org.opencontainers.image.stopSignal': config.StopSignal,
    'org.opencontainers.image.exposedPorts': config.ExposedPorts && Object.keys(config.ExposedPorts).sort().join(','),
    ...config.Labels,
    // Nobody's label: what it says is run.
    [HEALTHCHECK]: config.Healthcheck && JSON.stringify(config.Healthcheck),
  };
  return Object.fromEntries(
    Object.entries(facts).filter(
      (entry): entry is [string, string] => entry[0] !== '' && !!entry[1] && !isUnsafe(entry[0]),
    ),
  );
}

function isUnsafe(name: string): boolean {
  return ANNOTATIONS.some((known) => (known.endsWith('.') ? name.startsWith(known) : name === known));
}
