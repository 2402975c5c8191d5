/**
 * Attacks on paths, each told once: what the image brings, what is exchanged at which moment, and what would be seen if it worked.
 * Every one is run against Tare, on this kernel and on a poorer one (attack 29), and in its own file against the naive way.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseMountInfo } from '../../runtime/kernel/mountinfo.js';
import type { Config } from '../../runtime/oci/index.js';
import type { Step } from '../../runtime/plan/index.js';
import { type Attempt, attempt, type Outcome, type Place, untouched } from './naive.js';

export interface Scenario {
  readonly name: string;
  readonly attack: Attempt;
  /** Fails when the attack has worked. An error of Tare is as good as a container that stands. */
  stands(outcome: Outcome): void;
}

export async function withstands({ attack, stands }: Scenario, more: Partial<Attempt> = {}): Promise<void> {
  stands(await attempt({ ...attack, ...more }));
}

/** Runs the attack once for each step that is meant, with `exchange` right before it; until there is no such step. */
export async function atEachMoment(
  scenario: Scenario,
  meant: (step: Step) => boolean,
  exchange: (place: Place, pid: number) => void,
  more: Partial<Attempt> = {},
): Promise<number> {
  for (let moment = 0; ; moment++) {
    let count = 0;
    let done = false;
    const outcome = await attempt({
      ...scenario.attack,
      ...more,
      before: (step, place, pid) => {
        scenario.attack.before?.(step, place, pid);
        if (!meant(step) || count++ !== moment) return;
        exchange(place, pid);
        done = true;
      },
    });
    scenario.stands(outcome);
    if (!done && !outcome.error) return moment;
    if (!done) throw new Error(`the attack was never made: ${outcome.error?.message}`);
  }
}

type Mounts = NonNullable<Config['mounts']>;
const without = (config: Config, ...folders: string[]): Mounts =>
  (config.mounts ?? []).filter(({ destination }) => !folders.some((folder) => destination.startsWith(folder)));

/** Attack 5: the image's own /dev, in which somebody else writes. The masked file would show what they want. */
export const NULL_DEVICE: Scenario = {
  name: '/dev/null is exchanged while paths are masked',
  attack: {
    args: ['sh', '-c', 'head -c 20 /proc/version; echo end'],
    change: (config) => ({
      ...config,
      mounts: without(config, '/dev'),
      linux: { ...config.linux, maskedPaths: ['/proc/version', '/proc/acpi'] },
    }),
  },
  stands: (outcome) => {
    untouched(outcome);
    if (!outcome.error) expect(outcome.output).toBe('end\n');
  },
};

export const isMasking = (step: Step) =>
  step.field.startsWith('linux.maskedPaths') ||
  (step.kind === 'expect_device' && step.inputs.minor === 3) ||
  (step.kind === 'openat2' && step.inputs.path === 'null');

export function putInPlaceOfNull(what: 'link' | 'device' | 'file'): (place: Place) => void {
  return ({ rootfs }) => {
    const path = join(rootfs, 'dev/null');
    rmSync(path);
    if (what === 'link') symlinkSync('/proc/cmdline', path);
    else if (what === 'device') execFileSync('mknod', ['-m', '666', path, 'c', '1', '5']);
    else writeFileSync(path, 'not masked');
  };
}

/** Attack 6: something else lies at /dev/pts/0, or /dev/console leads to a file of the host. */
export function terminalExchanged(): Scenario & { readonly console: () => string | undefined } {
  let root: string | undefined;
  return {
    name: '/dev/pts/0 and /dev/console are exchanged while the terminal is made',
    console: () => root,
    attack: {
      args: ['true'],
      options: { terminal: true },
      change: (config) => ({
        ...config,
        mounts: [...without(config, '/dev'), ...(config.mounts ?? []).filter((mount) => mount.type === 'devpts')],
      }),
      before: (step, { rootfs }, pid) => {
        if (step.kind === 'pivot_root') root = mountRoot(pid, join(rootfs, 'dev/console'));
      },
    },
    stands: (outcome) => {
      untouched(outcome);
      if (!outcome.error) expect([undefined, '/0']).toContain(root);
    },
  };
}

/** What of its file system is shown at a mount point of the process: `/0` of a devpts is its first terminal. */
function mountRoot(pid: number, point: string): string | undefined {
  const mounts = parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
  return mounts.findLast(({ mountPoint }) => mountPoint === point)?.root;
}

/** In the container's mount namespace a file of the host is mounted over the name. */
export const coverTerminal = ({ rootfs, host }: Place, pid: number) =>
  execFileSync('nsenter', [
    '-t',
    String(pid),
    '-m',
    'mount',
    '--bind',
    join(host, 'precious'),
    join(rootfs, 'dev/pts/0'),
  ]);

export const consoleIsLink = ({ rootfs, host }: Place) => {
  const path = join(rootfs, 'dev/console');
  rmSync(path, { force: true });
  symlinkSync(join(host, 'precious'), path);
};

/** Attack 7: what lies at /proc is a volume full of files. A parameter written there is not set. */
export const FAKE_PROC: Scenario = {
  name: 'a fake /proc gets what is written',
  attack: {
    args: ['sh', '-c', 'cat /real/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_forward'],
    image: (_, { volume }) => {
      mkdirSync(join(volume, 'sys/net/ipv4'), { recursive: true });
      mkdirSync(join(volume, 'self/attr'), { recursive: true });
      for (const name of ['sys/net/ipv4/ip_forward', 'self/attr/exec']) writeFileSync(join(volume, name), '0\n');
    },
    change: (config, { volume }) => ({
      ...config,
      mounts: [
        ...without(config, '/proc'),
        { destination: '/proc', type: 'bind', source: volume, options: ['rbind'] },
        { destination: '/real', type: 'proc', source: 'proc' },
      ],
      linux: { ...config.linux, maskedPaths: [], readonlyPaths: [], sysctl: { 'net.ipv4.ip_forward': '1' } },
    }),
  },
  stands: (outcome) => {
    untouched(outcome);
    expect(outcome.output).toBe('1\n0\n');
  },
};

/** Attack 9: a directory of a shared volume, in which others are mounted, becomes a link to the host. */
export const SHARED_VOLUME: Scenario = {
  name: 'a directory of a shared volume is exchanged for a link while mounts are made below it',
  attack: {
    args: ['true'],
    image: (_, { volume }) => mkdirSync(join(volume, 'dir')),
    change: (config, { volume }) => ({
      ...config,
      mounts: [
        ...(config.mounts ?? []),
        { destination: '/vol', type: 'bind', source: volume, options: ['rbind'] },
        { destination: '/vol/dir/tmpfs', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/vol/dir/folder', type: 'bind', source: '/usr', options: ['bind', 'ro'] },
        { destination: '/vol/dir/file', type: 'bind', source: '/etc/passwd', options: ['bind', 'ro'] },
      ],
    }),
  },
  stands: untouched,
};

export const isBelowVolume = ({ field }: Step) => /^mounts\[(8|9|10)\]/.test(field);

export function exchangeDirectory(target: (place: Place) => string): (place: Place) => void {
  return (place) => {
    const path = join(place.volume, 'dir');
    renameSync(path, `${path}-away`);
    symlinkSync(target(place), path);
  };
}

/** Attack 11: everything that names a path in the root names one that leads out of it. */
export const CLIMBING: readonly Scenario[] = (
  [
    ['a link', (rootfs, { host }) => symlinkSync(host, join(rootfs, 'out')), '/out'],
    ['a relative link', (rootfs, { host }) => symlinkSync(`../../../../../..${host}`, join(rootfs, 'out')), '/out'],
    ['a dangling link', (rootfs, { host }) => symlinkSync(join(host, 'new/er'), join(rootfs, 'out')), '/out'],
    ['dots', () => undefined, ({ host }: Place) => `/../../../../../../../..${host}`],
    ['dots behind a link', (rootfs, { host }) => symlinkSync(host, join(rootfs, 'out')), '/out/../../../../../../x'],
  ] satisfies [string, (rootfs: string, place: Place) => void, string | ((place: Place) => string)][]
).map(([name, image, out]) => ({
  name,
  attack: {
    args: ['true'],
    image,
    options: { terminal: true },
    change: (config, place) => {
      const at = (path: string) => `${typeof out === 'string' ? out : out(place)}/${path}`;
      return {
        ...config,
        process: config.process && { ...config.process, cwd: at('cwd') },
        mounts: [
          ...(config.mounts ?? []),
          { destination: at('bind'), type: 'bind', source: '/usr', options: ['rbind', 'ro'] },
          { destination: at('file'), type: 'bind', source: '/etc/passwd', options: ['bind'] },
          { destination: at('tmpfs'), type: 'tmpfs', options: ['tmpcopyup'] },
          { destination: at('cgroup'), type: 'cgroup', options: ['ro'] },
        ],
        linux: {
          ...config.linux,
          devices: [
            { type: 'c', path: at('zero'), major: 1, minor: 5 },
            { type: 'p', path: at('deep/pipe') },
          ],
          maskedPaths: [at('precious')],
          readonlyPaths: [at('file')],
        },
      };
    },
  },
  stands: (outcome) => {
    expect(outcome.error?.message).toBeUndefined();
    untouched(outcome);
  },
}));
