/** A container of the library, of the default configuration with changes, whose program is looked at from outside. */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { thisCaller } from '../../runtime/container/caller.js';
import { Container, type CreateOptions, type DefaultOptions, defaultConfig } from '../../runtime/container/index.js';
import { LINKS } from '../../runtime/container/namespace-link.js';
import { type Config, validConfig } from '../../runtime/oci/index.js';
import { makeRootfs } from '../harness/rootfs.js';

export { LINKS };
export type Type = keyof typeof LINKS;

/** What /proc/PID/ns says: `net:[4026531840]`. */
export function namespaceOf(pid: number | 'self', type: Type): string {
  return readlinkSync(`/proc/${pid}/ns/${LINKS[type]}`);
}

export interface Running extends AsyncDisposable {
  readonly container: Container;
  readonly pid: number;
  /** Its supervisor. */
  readonly stage: number;
  readonly folder: string;
  readonly warnings: readonly string[];
  /** What it has written. */
  output(): string;
  ns(type: Type): string;
}

let count = 0;

/** Starts one; what `edit` does to the default configuration is what it is about. */
export async function runBundle(
  edit: (config: Mutable) => void,
  options: Partial<DefaultOptions> = {},
  { rootfsOwner, ...create }: Partial<CreateOptions> & { readonly rootfsOwner?: number } = {},
): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bundle-'));
  const rootfs = makeRootfs(join(folder, 'rootfs'));
  const config = JSON.parse(
    JSON.stringify(defaultConfig({ rootfs, args: ['sleep', '1000'], caller: thisCaller(), ...options })),
  ) as Mutable;
  edit(config);
  // Who is root in a user namespace makes the mount points.
  chmodSync(folder, 0o755);
  const { uidMappings: [users] = [] } = config.linux;
  const owner = users?.hostID ?? rootfsOwner;
  if (owner !== undefined) execFileSync('chown', ['-R', `${owner}:${owner}`, rootfs]);
  const input = openSync('/dev/null', 'r');
  const output = openSync(join(folder, 'output'), 'w');
  const warnings: string[] = [];
  try {
    const container = await Container.run({
      id: `bundle-${process.pid}-${++count}`,
      bundle: { path: folder, rootfs, config: validConfig(config as Config) },
      stateRoot: join(folder, 'state'),
      stdio: [input, output, output],
      onWarning: (sentence) => void warnings.push(sentence),
      ...create,
    });
    const { pid = 0 } = container.state();
    return {
      container,
      pid,
      stage: Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
      folder,
      warnings,
      output: () => readFileSync(join(folder, 'output'), 'utf8'),
      ns: (type) => namespaceOf(pid, type),
      [Symbol.asyncDispose]: async () => {
        await container.delete({ force: true });
        rmSync(folder, { recursive: true });
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

/** A configuration under change. */
export type Mutable = DeepMutable<Config> & {
  linux: DeepMutable<NonNullable<Config['linux']>>;
  process: DeepMutable<NonNullable<Config['process']>>;
};
type DeepMutable<T> = { -readonly [K in keyof T]: T[K] extends object | undefined ? DeepMutable<T[K]> : T[K] };

/** Joins this namespace instead of a new one; without a path, has a new one. */
export function setNamespace(config: Mutable, type: Type, path?: string): void {
  const namespaces = (config.linux.namespaces ?? []).filter((namespace) => namespace.type !== type);
  config.linux.namespaces = [...namespaces, path === undefined ? { type } : { type, path }];
}

export function dropNamespace(config: Mutable, type: Type): void {
  config.linux.namespaces = config.linux.namespaces?.filter((namespace) => namespace.type !== type);
}

/** A thousand ids from here on are the container's users. */
export function mapUsers(config: Mutable, hostID = 200_000): void {
  config.linux.uidMappings = [{ containerID: 0, hostID, size: 1000 }];
  config.linux.gidMappings = [{ containerID: 0, hostID, size: 1000 }];
}
