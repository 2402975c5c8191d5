/**
 * Platforms: how they are written (`linux/arm64/v8`), and which of an index's manifests is the one for a machine. A processor runs what was made for
 * it, or for an older variant of it; the newest of those is taken.
 * image-index.md, "Platform Variants"
 */
import { TareError } from '../kernel/error.js';
import type { Descriptor, Platform } from '../oci/image/index.js';

/** The platform of this machine. */
export function hostPlatform(): Platform {
  return normalise({ os: 'linux', architecture: process.arch });
}

/** `linux/arm/v7`, `linux/arm64`, or the architecture alone. @throws TareError `usage` */
export function parsePlatform(written: string): Platform {
  const parts = written.toLowerCase().split('/');
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]] : parts;
  if (!os || !architecture || parts.length > 3 || parts.some((part) => !/^[a-z0-9][a-z0-9._-]*$/.test(part)))
    throw new TareError(
      'usage',
      `${JSON.stringify(written)} is no platform: it is written as os/architecture or os/architecture/variant, such as linux/arm64`,
    );
  return normalise({ os, architecture, ...(variant !== undefined && { variant }) });
}

/** `linux/arm64/v8`: what `parsePlatform` reads. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/');
}

/** Which of these is for the platform; undefined when none is. Of several that are equally good, the first. */
export function choosePlatform<D extends Pick<Descriptor, 'platform'>>(
  manifests: readonly D[],
  wanted: Platform,
): D | undefined {
  let best: D | undefined;
  let bestRank = -1;
  for (const one of manifests) {
    const rank = one.platform ? rankOf(one.platform, wanted) : -1;
    if (rank > bestRank) [best, bestRank] = [one, rank];
  }
  return best;
}

/** What was made for `offered` runs on `wanted`. */
export function runsOn(offered: Platform, wanted: Platform): boolean {
  return rankOf(offered, wanted) >= 0;
}

/** -1 when it does not run there; else the higher the newer. */
function rankOf(offered: Platform, wanted: Platform): number {
  const [have, want] = [normalise(offered), normalise(wanted)];
  if (have.os !== want.os || have.architecture !== want.architecture) return -1;
  const [level, most] = [levelOf(have), levelOf(want)];
  if (level === undefined || most === undefined) return have.variant === want.variant ? 0 : -1;
  return level <= most ? level : -1;
}

/** `v8.1` is 8.1; without a variant what the architecture began with, or is commonly taken for. */
function levelOf({ architecture, variant }: Platform): number | undefined {
  if (variant === undefined || variant === '') return BASE[architecture] ?? 0;
  const digits = /^v?(\d+(?:\.\d+)?)$/.exec(variant)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const BASE: Readonly<Record<string, number>> = { amd64: 1, arm64: 8, arm: 7 };

/** Names that uname(2), Debian and Node give to what GOARCH calls otherwise. */
const SYNONYMS: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x64: ['amd64'],
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  aarch64: ['arm64'],
  i386: ['386'],
  i686: ['386'],
  ia32: ['386'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};

function normalise(platform: Platform): Platform {
  const [architecture, variant] = SYNONYMS[platform.architecture.toLowerCase()] ?? [platform.architecture];
  return { ...platform, architecture, ...(variant !== undefined && !platform.variant && { variant }) };
}
