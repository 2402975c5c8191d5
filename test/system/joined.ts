/** What the tests of namespaces share: who joins whom, and whose namespaces are whose. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { LINKS, type Mutable, mapUsers, namespaceOf, type Running, setNamespace, type Type } from './bundle.js';

/** All types. */
export const TYPES = Object.keys(LINKS) as Type[];

/** Where /proc has it. */
export const path = (pid: number, type: Type) => `/proc/${pid}/ns/${LINKS[type]}`;

export const ofHost = (type: Type) => namespaceOf('self', type);

/** Joins these of another container. */
export const joining = (other: Running, types: readonly Type[]) => (config: Mutable) => {
  for (const type of types) setNamespace(config, type, path(other.pid, type));
};

/** The first user of the host that is one of the containers'. */
export const FIRST = 200_000;

/** A user namespace of its own, and a time namespace. */
export const withUsers = (config: Mutable) => {
  setNamespace(config, 'user');
  setNamespace(config, 'time');
  mapUsers(config, FIRST);
};

/** For a container that may not mount a proc: its pid namespace is another user namespace's. */
export const withoutProc = (config: Mutable) => {
  config.mounts = config.mounts?.filter(({ type }) => type !== 'proc');
  config.linux.maskedPaths = [];
  config.linux.readonlyPaths = [];
};

/** They are in the same namespaces of these types. */
export const expectSame = (one: Running, other: Running, types: readonly Type[]) =>
  expect(types.map((type) => [type, one.ns(type)])).toEqual(types.map((type) => [type, other.ns(type)]));

/** What a further process in it writes. */
export async function execIn({ container, folder, pid }: Running, script: string): Promise<string> {
  const file = join(folder, 'exec');
  const output = openSync(file, 'w');
  const input = openSync('/dev/null', 'r');
  try {
    const process = { args: ['sh', '-c', `exec 2>&1; ${script}`], cwd: '/', user: { uid: 0, gid: 0 } };
    const further = await container.exec({ process, stdio: [input, output, output] });
    expect(status(pid, 'NSpid')).toBeDefined();
    await further.wait();
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

/** The rest are its own: neither the host's nor the other's. */
export const expectOwn = (one: Running, other: Running, types: readonly Type[]) => {
  for (const type of types) expect([ofHost(type), other.ns(type)], type).not.toContain(one.ns(type));
};

/** A line of /proc/PID/status. */
export const status = (pid: number, field: string) =>
  new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
