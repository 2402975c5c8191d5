/**
 * The same inside a virtual machine, whose kernel has cgroups of version 2 and nothing else. Tare is part of the machine's image;
 * the other runtimes are this host's, with their libraries; the validation programs are carried in one by one, because they are large.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { packageRoot } from '../../runtime/kernel/places.js';
import { createProvider, type Machine } from '../../runtime/vm/index.js';
import type { Outcome } from './own.js';
import type { Result } from './validation/run.js';

const HOME = '/mnt';
const MAIN = '/opt/tare/dist/test/conformance/main.js';
const HOUR_MS = 3_600_000;

export interface Laboratory {
  /** Paths in the machine, by name: tare-oci, and those of runc and crun that this host has. */
  readonly runtimes: Readonly<Record<string, string>>;
  own(runtime: string, filter: string): Promise<Outcome[]>;
  validate(suite: string, runtime: string, name: string): Promise<Result>;
  close(): Promise<void>;
}

export async function openLaboratory(say: (sentence: string) => void): Promise<Laboratory> {
  const provider = await createProvider();
  let machine: Machine | undefined;
  const close = async () => {
    await machine?.close();
    await provider.close();
  };
  try {
    machine = await provider.create({ onProgress: say });
    const it = machine;
    await must(it, [
      'sh',
      '-ec',
      `mount -t tmpfs -o mode=755 tmpfs ${HOME} && mkdir -p ${HOME}/suite/t /opt/tare/test/conformance`,
    ]);
    const keeper = join(packageRoot(), 'test/conformance/keeper.c');
    await it.writeFile('/opt/tare/test/conformance/keeper.c', readFileSync(keeper));
    const runtimes: Record<string, string> = { 'tare-oci': '/opt/tare/dist/bin/tare-oci' };
    for (const path of ['/usr/sbin/runc', '/usr/bin/crun']) {
      if (existsSync(path)) runtimes[basename(path)] = await carry(it, path);
    }
    const carried = new Set<string>();
    const put = async (from: string, to: string) => {
      if (!carried.has(to)) await it.writeFile(to, readFileSync(from), 0o755);
      carried.add(to);
    };
    return {
      runtimes,
      own: (runtime, filter) => results<Outcome>(it, ['own', runtime, filter]),
      validate: async (suite, runtime, name) => {
        for (const file of readdirSync(suite).filter((one) => one === 'runtimetest' || /-amd64\.tar\.gz$/.test(one)))
          await put(join(suite, file), `${HOME}/suite/${file}`);
        await it.writeFile(`${HOME}/suite/t/${name}`, readFileSync(join(suite, 't', name)), 0o755);
        const [result] = await results<Result>(it, ['validation', `${HOME}/suite`, runtime, name]);
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

/** A program of this host and its libraries, behind a script that finds them. Returns its path in the machine. */
async function carry(machine: Machine, path: string): Promise<string> {
  const folder = `${HOME}/${basename(path)}.d`;
  await must(machine, ['mkdir', '-p', folder]);
  const linked = execFileSync('ldd', [path], { encoding: 'utf8' });
  for (const [, library] of linked.matchAll(/ => (\/\S+)/g))
    await machine.writeFile(`${folder}/${basename(library as string)}`, readFileSync(library as string), 0o755);
  await machine.writeFile(`${folder}/program`, readFileSync(path), 0o755);
  const to = `${HOME}/${basename(path)}`;
  await machine.writeFile(to, `#!/bin/sh\nexec env LD_LIBRARY_PATH=${folder} ${folder}/program "$@"\n`, 0o755);
  return to;
}

async function results<T>(machine: Machine, words: readonly string[]): Promise<T[]> {
  const { status, stdout, stderr } = await machine.exec(['node', MAIN, ...words], {
    env: { CONFORMANCE_PATIENCE: '150' },
    timeoutMs: HOUR_MS,
    maxOutput: 8 << 20,
  });
  if (status !== 0) throw new Error(`in the machine: ${words.join(' ')}: exit code ${status}: ${stderr}`);
  const lines: T[] = [];
  for await (const line of createInterface(Readable.from([stdout]))) lines.push(JSON.parse(line) as T);
  return lines;
}

async function must(machine: Machine, argv: readonly string[]): Promise<void> {
  const { status, stderr } = await machine.exec(argv);
  if (status !== 0) throw new Error(`in the machine: ${argv.join(' ')}: ${stderr}`);
}
