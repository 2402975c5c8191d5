/** The least that is a valid config.json for Linux; tests change one thing at a time. */
export type Json = Record<string, unknown>;

export const minimal = () => ({
  ociVersion: '1.0.2',
  root: { path: 'rootfs' },
  process: { cwd: '/', args: ['sh'], user: { uid: 0, gid: 0 } },
  linux: { namespaces: [{ type: 'mount' }, { type: 'uts' }] },
});

/** The least, with one field changed: `linux.resources.pids`. */
export function withField(path: string, value: unknown): Json {
  const config: Json = structuredClone(minimal());
  const parts = path.split('.');
  let at = config;
  for (const part of parts.slice(0, -1)) {
    at[part] ??= {};
    at = at[part] as Json;
  }
  at[parts.at(-1) as string] = value;
  return config;
}
