/**
 * Against crun, in a virtual machine: there are cgroups of version 2 there, without which crun does nothing. The machine is emulated, so
 * only the ratio says something. crun's `run` is one process for the whole life of a container; Tare's is create, start, wait and
 * delete from a warm Node process.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { defaultConfig } from '../../runtime/container/index.js';
import { createProvider, type Machine } from '../../runtime/vm/index.js';
import { verdict } from './measure.js';

const ROUNDS = 30;
/** Debian 12's crun knows no newer one. */
const CRUN_VERSION = '1.0.2';
const FOLDER = '/mnt/bench';

/** Runs in the machine. Prints the medians of both, in milliseconds, and of their ratio in each round. */
const SCRIPT = `
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Container } from '/opt/tare/dist/runtime/container/index.js';
const config = JSON.parse(readFileSync('${FOLDER}/config.json', 'utf8'));
const bundle = { path: '${FOLDER}', rootfs: '${FOLDER}/rootfs', config };
const tare = async (id) => {
  const container = await Container.create({ id, bundle });
  await container.start();
  await container.wait();
  await container.delete();
};
const crun = (id) => {
  const { status, stderr } = spawnSync('${FOLDER}/crun', ['run', '--bundle', '${FOLDER}', id], { stdio: ['ignore', 'ignore', 'pipe'],
    env: { LD_LIBRARY_PATH: '${FOLDER}/lib', PATH: '/usr/bin:/bin' } });
  if (status !== 0) throw new Error('crun ended with ' + status + ': ' + stderr);
};
const time = async (action) => { const began = performance.now(); await action(); return performance.now() - began; };
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const [ours, theirs, ratios] = [[], [], []];
for (let i = -3; i < ${ROUNDS}; i++) {
  const a = await time(() => tare('t' + (i + 3)));
  const b = await time(() => crun('c' + (i + 3)));
  if (i < 0) continue;
  ours.push(a); theirs.push(b); ratios.push(a / b);
}
console.log(JSON.stringify([median(ours), median(theirs), median(ratios)]));
`;

export async function bench(): Promise<string> {
  const provider = await createProvider();
  try {
    const machine = await provider.create();
    try {
      await putCrun(machine);
      await machine.writeFile(`${FOLDER}/bench.mjs`, SCRIPT);
      const { status, stdout, stderr } = await machine.exec(['node', `${FOLDER}/bench.mjs`], { timeoutMs: 300_000 });
      if (status !== 0) throw new Error(`the benchmark in the machine ended with ${status}: ${stderr}`);
      const [tare, crun, ratio] = JSON.parse(stdout.toString()) as [number, number, number];
      return [
        `  in an emulated machine: Tare from a warm process ${tare.toFixed(1)} ms, crun run ${crun.toFixed(1)} ms`,
        verdict('create, start, wait, delete from a warm process, of crun run', ratio, 1, 'x'),
      ].join('\n');
    } finally {
      await machine.close();
    }
  } finally {
    await provider.close();
  }
}

/** crun and its libraries are this host's; the root file system is one busybox. */
async function putCrun(machine: Machine): Promise<void> {
  const command = 'cp /bin/busybox rootfs/bin/busybox && ln -s busybox rootfs/bin/true';
  await must(
    machine,
    `mount -t tmpfs tmpfs /mnt && mkdir -p ${FOLDER}/lib ${FOLDER}/rootfs/bin && cd ${FOLDER} && ${command}`,
  );
  const libraries = execFileSync('ldd', ['/usr/bin/crun'], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => / => (\/\S+)/.exec(line)?.[1] ?? []);
  await machine.writeFile(`${FOLDER}/crun`, readFileSync('/usr/bin/crun'), 0o755);
  for (const path of libraries) await machine.writeFile(`${FOLDER}/lib/${basename(path)}`, readFileSync(path), 0o755);
  const config = defaultConfig({
    rootfs: 'rootfs',
    args: ['/bin/true'],
    hostname: 'bench',
    caller: { uid: 0, gid: 0 },
  });
  await machine.writeFile(`${FOLDER}/config.json`, JSON.stringify({ ...config, ociVersion: CRUN_VERSION }));
}

async function must(machine: Machine, line: string): Promise<void> {
  const { status, stderr } = await machine.exec(['sh', '-ec', line]);
  if (status !== 0) throw new Error(`in the machine: ${line}: ${stderr}`);
}
