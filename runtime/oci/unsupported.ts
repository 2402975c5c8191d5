/**
 * What the specification has and Tare does not do: containers of other platforms. Whoever asks for one is refused by name,
 * since a container that silently is another than its config.json says is worse than none. config.md#platform-specific-configuration
 */
import type { Config } from './config.js';
import type { Fault } from './schema.js';

const PLATFORMS = ['solaris', 'windows', 'vm', 'zos', 'freebsd'] as const;

/** One fault for each thing asked for that cannot be had. A section that is empty asks for nothing. */
export function unsupported(config: Config): Fault[] {
  // A container for Linux may carry the section of another platform, too: its lone presence is what asks.
  if (config.linux !== undefined) return [];
  return PLATFORMS.filter((platform) => isAsked(config[platform])).map((platform) => ({
    path: platform,
    message: `asks for a container for ${platform}; Tare makes them for Linux`,
  }));
}

function isAsked(section: unknown): boolean {
  return typeof section === 'object' && section !== null && Object.keys(section).length > 0;
}
