/** The environment that programs in a machine start with: a root login, whatever the host's is. */
const DEFAULTS: Readonly<Record<string, string>> = {
  HOME: '/root',
  LANG: 'C.UTF-8',
  LOGNAME: 'root',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  SHELL: '/bin/bash',
  USER: 'root',
};

/** As `NAME=value`, with what the caller adds or replaces. */
export function environment(more: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries({ ...DEFAULTS, ...more }).map(([name, value]) => `${name}=${value}`);
}
