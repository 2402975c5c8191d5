/**
 * The same inside a virtual machine, whose kernel has cgroups of version 2 and nothing else. Tare is put there in one file (see one-file.ts);
 * the other runtimes are this host's, with their libraries; the validation programs are carried in one by one, because they are large.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createProvider, type Machine } from '../../runtime/vm/index.js';
import { buildKeeper } from './bench.js';
import { putOneFile } from './one-file.js';
import type { Outcome } from './own.js';
import type { Result } from './validation/run.js';

const HOME = '/mnt';
const KEEPER = `${HOME}/keeper`;
/** A folder of where the machine keeps Tare's data: of an ext4, whose owners its kernel (6.1) can map, unlike those of its overlay and of a tmpfs. */
const DISK = `${HOME}/disk`;
const ENV = { CONFORMANCE_PATIENCE: '150', CONFORMANCE_KEEPER: KEEPER, TMPDIR: DISK };
const RESULTS = `${HOME}/results`;
const MAX_RESULTS = 8 << 20;
/** How often the results are looked at, which costs the machine 0.1 s. */
const LOOK_MS = 10_000;
/** The whole suite takes half an hour of a processor that nobody else uses. */
const LIMIT_MS = 8 * 3_600_000;

export interface Laboratory {
  /** Paths in the machine, by name: of tare-oci, and of runc and crun where this host has them; of those that were asked for. */
  readonly runtimes: Readonly<Record<string, string>>;
  own(runtime: string, filter: string, onOutcome: (outcome: Outcome) => void): Promise<Outcome[]>;
  validate(suite: string, runtime: string, name: string): Promise<Result>;
  close(): Promise<void>;
}

/** @param asked which runtimes are wanted, by name: what is not asked for is not put there */
export async function openLaboratory(
  say: (sentence: string) => void,
  asked: (runtime: string) => boolean,
): Promise<Laboratory> {
  const provider = await createProvider();
  let machine: Machine | undefined;
  const close = async () => {
    await machine?.close();
    await provider.close();
  };
  try {
    machine = await provider.create({ onProgress: say });
    const it = machine;
    await must(it, ['sh', '-ec', `mount -t tmpfs -o mode=755 tmpfs ${HOME} && mkdir -p ${HOME}/suite/t ${DISK}`]);
    await must(it, ['sh', '-ec', `mkdir /var/lib/tare/suite && mount --bind /var/lib/tare/suite ${DISK}`]);
    await it.writeFile(KEEPER, keeper(), 0o755);
    say('putting programs into the machine, each in one file');
    const main = await putOneFile(it, 'test/conformance/main.js', 'conformance', [['own', 'true', 'start runs']], ENV);
    const runtimes: Record<string, string> = {};
    for (const path of ['/usr/sbin/runc', '/usr/bin/crun'].filter((one) => existsSync(one) && asked(basename(one))))
      runtimes[basename(path)] = await carry(it, path);
    if (asked('tare-oci'))
      runtimes['tare-oci'] = await putOneFile(it, 'runtime/cli/oci.js', 'tare-oci', await warmUps(it));
    const carried = new Set<string>();
    const put = async (from: string, to: string) => {
      if (!carried.has(to)) await it.writeFile(to, readFileSync(from), 0o755);
      carried.add(to);
    };
    return {
      runtimes,
      own: (runtime, filter, onOutcome) => results(it, [main, 'own', runtime, filter], onOutcome),
      validate: async (suite, runtime, name) => {
        for (const file of readdirSync(suite).filter((one) => one === 'runtimetest' || /-amd64\.tar\.gz$/.test(one)))
          await put(join(suite, file), `${HOME}/suite/${file}`);
        await it.writeFile(`${HOME}/suite/t/${name}`, readFileSync(join(suite, 't', name)), 0o755);
        const [result] = await results<Result>(it, [main, 'validation', `${HOME}/suite`, runtime, name]);
        await must(it, ['rm', `${HOME}/suite/t/${name}`]);
        return result ?? { name, as: 'fail', why: 'the machine has said nothing' };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The life of a container whose program there is not. */
async function warmUps(machine: Machine): Promise<string[][]> {
  const bundle = `${HOME}/warm-up`;
  await must(machine, ['mkdir', '-p', `${bundle}/rootfs`]);
  const spec = ['tare-oci', 'spec', '--bundle', bundle];
  await must(machine, ['sh', '-ec', `${spec.join(' ')}; sed -i '/"terminal"/s/true/false/' ${bundle}/config.json`]);
  const global = ['--root', `${bundle}/states`];
  const calls = ['run --bundle', 'create --bundle', 'start', 'state', 'exec', 'kill', 'delete --force', 'list'];
  return calls.map((call) => [...global, ...call.split(' '), ...(call.includes('bundle') ? [bundle] : []), 'warm-up']);
}

/** A program of this host, with those of its libraries that the machine, which is of the same Debian, does not have. */
async function carry(machine: Machine, path: string): Promise<string> {
  const linked = execFileSync('ldd', [path], { encoding: 'utf8' });
  for (const [, library] of linked.matchAll(/ => (\/\S+)/g)) {
    const to = `/usr/lib/x86_64-linux-gnu/${basename(library as string)}`;
    if ((await machine.exec(['test', '-e', to])).status !== 0)
      await machine.writeFile(to, readFileSync(library as string), 0o755);
  }
  const to = `${HOME}/${basename(path)}`;
  await machine.writeFile(to, readFileSync(path), 0o755);
  return to;
}

/** Static: it owes nothing to the machine. */
function keeper(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'tare-keeper-'));
  try {
    return readFileSync(buildKeeper(folder, ['-static']));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Its lines go to a file, which is read while it grows: who waits for an hour wants to see something. */
async function results<T>(machine: Machine, words: readonly string[], onResult?: (result: T) => void): Promise<T[]> {
  const found: T[] = [];
  let bytes = 0;
  const read = async () => {
    const { stdout } = await machine.exec(['tail', '-c', `+${bytes + 1}`, RESULTS], { maxOutput: MAX_RESULTS });
    const whole = stdout.subarray(0, stdout.lastIndexOf('\n') + 1);
    bytes += whole.length;
    for (const line of whole.toString().split('\n').slice(0, -1)) {
      const result = JSON.parse(line) as T;
      found.push(result);
      onResult?.(result);
    }
  };
  await must(machine, ['truncate', '-s', '0', RESULTS]);
  const options = { env: ENV, timeoutMs: LIMIT_MS, maxOutput: MAX_RESULTS };
  let over = false;
  const running = machine.exec(['sh', '-c', `exec "$0" "$@" >> ${RESULTS}`, ...words], options).finally(() => {
    over = true;
  });
  while (!over) {
    await Promise.race([running.catch(() => undefined), setTimeout(LOOK_MS, undefined, { ref: false })]);
    await read();
  }
  const { status, stderr } = await running;
  await read();
  if (status !== 0) throw new Error(`in the machine: ${words.join(' ')}: exit code ${status}: ${stderr}`);
  return found;
}

async function must(machine: Machine, argv: readonly string[]): Promise<void> {
  const { status, stderr } = await machine.exec(argv);
  if (status !== 0) throw new Error(`in the machine: ${argv.join(' ')}: ${stderr}`);
}
