// Kills the creation of a container after each of its steps: the runtime (by a victim of its own) or stage. Removes what is left as a
// user would, and prints one line of JSON for each step: what is there still.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Container, collectGarbage } from 'tare/container';
import { loadBundle } from 'tare/oci';

const [whom, bundle, cgroup] = process.argv.slice(2);
const state = process.env.TARE_STATE;
const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length;

const kill = whom === 'runtime' ? killRuntime : killStage;
let last = Number.POSITIVE_INFINITY;
let next = 0;
// Three at a time: much of it is waiting for Node to start.
await Promise.all(
  Array.from({ length: whom === 'runtime' ? 3 : 1 }, async () => {
    for (let at = next++; at <= last; at = next++) {
      const id = `at${at}`;
      if (await kill(id, at)) last = Math.min(last, at);
      await remove(id, at);
      process.stdout.write(`${JSON.stringify({ at, left: leftOf(id) })}\n`);
    }
  }),
);

/** Resolves to true when there were fewer steps than that. */
function killRuntime(id, at) {
  const victim = fileURLToPath(new URL('28-victim.mjs', import.meta.url));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [victim, bundle, id, String(at)], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve(code === 0);
      else reject(new Error(`the victim ended with ${code ?? signal}`));
    });
  });
}

async function killStage(id, at) {
  let count = 0;
  let stage = 0;
  try {
    await Container.create({
      id,
      bundle: loadBundle(bundle),
      supervisor: 'caller',
      onProcess: (lane, pid) => {
        if (lane === 'outside') stage = pid;
      },
      driver: {
        beforeStep: () => {
          if (count++ === at) process.kill(stage, 'SIGKILL');
        },
      },
    });
    return true;
  } catch (error) {
    if (error.code !== 'plan') throw error;
    return false;
  }
}

/** By turns as the user who knows of it, and as whoever cleans up. */
async function remove(id, at) {
  if (whom === 'stage' && at < last) return;
  if (at % 2 === 1) await collectGarbage(state, (error) => Promise.reject(error));
  // Also after that: what has been created is nobody's garbage while somebody may start it.
  try {
    if (existsSync(join(state, id))) await Container.open(id).delete({ force: true });
  } catch (error) {
    // Whoever cleans up for another step was faster.
    if (error.code !== 'not-found') throw error;
  }
}

function leftOf(id) {
  const left = existsSync(join(state, id)) ? [`state ${id}`] : [];
  const hierarchies = readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name, cgroup, id));
  left.push(...hierarchies.filter((path) => existsSync(path)));
  const claims = readdirSync('/run/tare/.cgroups').filter((name) => name !== 'lock');
  if (claims.some((name) => isClaimOf(name, id))) left.push('claim');
  if (readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length !== mounts) left.push('mounts');
  return left;
}

function isClaimOf(name, id) {
  try {
    return readlinkSync(join('/run/tare/.cgroups', name)) === join(state, id);
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}
