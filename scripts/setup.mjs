// Sets up everything that Tare needs, step by step; a step that is done is skipped, and an interrupted run goes on where
// it was. Plain JavaScript without dependencies, because it runs before there are any.
//   node scripts/setup.mjs [--test] [--no-machine]
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RUN_PACKAGES, TEST_PACKAGES } from './packages.mjs';
import { makeProgress } from './progress.mjs';

export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const STAMPS = join(ROOT, '.setup');

const FULL_DISK = 'the disk is full: make room and run this again, it goes on from where it was';

/** A failure that is the user's to mend: shown as one sentence, without a stack. */
class SetupError extends Error {}

/**
 * Runs the set-up. `test` adds what the tests need; `machine: false` leaves out the virtual machine's image.
 * Ends the process with exit code 1 and one clear sentence when a step cannot be done.
 */
export async function setup({ test = false, machine = true } = {}) {
  const steps = [
    // Before npm, which compiles one of its packages.
    packages(test),
    dependencies(),
    native(test),
    typescript(),
    client(),
    ...(machine ? [image(), snapshot()] : []),
  ];
  const progress = makeProgress(steps.length);
  let current;
  try {
    checkPlatform();
    mkdirSync(STAMPS, { recursive: true });
    for (const step of steps) {
      current = undefined;
      if (await step.done()) {
        progress.skip(step.name);
        continue;
      }
      progress.begin(step.name);
      current = step;
      await step.run((sentence) => progress.say(sentence));
      progress.done();
    }
  } catch (error) {
    if (current) progress.failed();
    console.error(`\ntare: ${explain(error)}`);
    process.exit(1);
  }
}

// ---- The steps --------------------------------------------------------------------------------------------------

function dependencies() {
  const inputs = ['package.json', 'package-lock.json'];
  return {
    name: 'npm dependencies',
    done: () => existsSync(join(ROOT, 'node_modules')) && stampHolds('npm', inputs),
    run: async () => {
      clearStamp('npm');
      await command('npm', ['ci', '--no-audit', '--no-fund'], 'npm', { env: npmEnvironment() });
      writeStamp('npm', inputs);
    },
  };
}

/**
 * better-sqlite3 is compiled here where its author has no binary for this Node. node-gyp would fetch Node's headers from the network, though
 * Node is installed with them: `nodedir` says where they are. Whoever has set it keeps it.
 */
function npmEnvironment() {
  const prefix = dirname(dirname(process.execPath));
  const isSet = Object.keys(process.env).some((name) => name.toLowerCase() === 'npm_config_nodedir');
  if (isSet || !existsSync(join(prefix, 'include/node/node.h'))) return process.env;
  return { ...process.env, npm_config_nodedir: prefix };
}

function packages(test) {
  const wanted = [...RUN_PACKAGES, ...(test ? TEST_PACKAGES : [])];
  return {
    name: 'Debian packages',
    done: () => missingPackages(wanted).length === 0,
    run: async (say) => {
      const missing = missingPackages(wanted);
      const names = missing.map(([name]) => name);
      if (spawnSync('apt-get', ['--version']).error) {
        throw new SetupError(`this system has no apt-get; install these and try again: ${names.join(' ')}`);
      }
      if (process.geteuid() !== 0) {
        throw new SetupError(
          `packages are missing and only root can install them: sudo apt-get install ${names.join(' ')}`,
        );
      }
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
      say('reading the lists of packages');
      await command('apt-get', ['update', '-q'], 'apt', { env });
      say(`installing ${names.join(', ')}`);
      const wait = ['-o', 'DPkg::Lock::Timeout=300'];
      await command('apt-get', [...wait, 'install', '-y', '-q', '--no-install-recommends', ...names], 'apt', { env });
      const still = missingPackages(wanted);
      if (still.length > 0)
        throw new SetupError(`apt-get ended well, but did not install ${still.map(([n]) => n).join(' ')}`);
    },
  };
}

function native(test) {
  const targets = ['all', ...(test ? ['asan', 'fuzz'] : [])];
  return {
    name: test ? 'native code, with its sanitizer builds' : 'native code',
    done: () => spawnSync('make', ['-q', '-C', 'native', ...targets], { cwd: ROOT }).status === 0,
    run: () => command('make', ['-C', 'native', '-j2', ...targets], 'native'),
  };
}

function typescript() {
  const inputs = [
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
    'runtime',
    'chapters',
    'exercises',
    'web-lab/server',
    'web-lab/protocol.ts',
    'test/bench',
    'test/conformance',
    'test/harness',
    'scripts/build.mjs',
  ];
  return {
    name: 'TypeScript',
    done: () => existsSync(join(ROOT, 'dist/bin/tare')) && stampHolds('typescript', inputs),
    run: async () => {
      clearStamp('typescript');
      await command(process.execPath, ['scripts/build.mjs', 'runtime'], 'typescript');
      writeStamp('typescript', inputs);
    },
  };
}

function client() {
  const inputs = ['web-lab/client', 'web-lab/protocol.ts', 'package-lock.json'];
  return {
    name: 'the lab’s page',
    done: () => existsSync(join(ROOT, 'dist/web-lab/client/index.html')) && stampHolds('client', inputs),
    run: async () => {
      clearStamp('client');
      await command(process.execPath, ['scripts/build.mjs', 'client'], 'client');
      writeStamp('client', inputs);
    },
  };
}

/** The machine's steps know by themselves whether they are done: the image's key is the hash of what it is made of. */
function image() {
  return {
    name: 'the image of the virtual machine (some minutes, once)',
    done: async () => (await (await import('../dist/runtime/vm/index.js')).readyImage()) !== undefined,
    run: async (say) => {
      const vm = await import('../dist/runtime/vm/index.js');
      await vm.prepareImage({ onProgress: say });
    },
  };
}

function snapshot() {
  return {
    name: 'a booted machine, saved',
    done: async () => {
      const vm = await import('../dist/runtime/vm/index.js');
      const image = await vm.readyImage();
      return image !== undefined && (await vm.findSnapshot(image)) !== undefined;
    },
    run: async (say) => {
      const vm = await import('../dist/runtime/vm/index.js');
      await vm.prepareSnapshot(await vm.prepareImage({ onProgress: say }), { onProgress: say });
    },
  };
}

// ---- What they stand on -----------------------------------------------------------------------------------------

function checkPlatform() {
  const require = createRequire(import.meta.url);
  const wanted = require('../package.json').engines.node.replace('>=', '');
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantMajor, wantMinor] = wanted.split('.').map(Number);
  if (major < wantMajor || (major === wantMajor && minor < wantMinor)) {
    throw new SetupError(
      `Node ${wanted} or newer is needed, and this is ${process.versions.node}: install it from https://nodejs.org`,
    );
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetupError(`Tare runs on Linux on x86-64, and this is ${process.platform} on ${process.arch}`);
  }
}

function missingPackages(wanted) {
  const names = wanted.map(([name]) => name);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format
  const query = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names], {
    encoding: 'utf8',
  });
  if (query.error) return wanted;
  const installed = new Set(
    query.stdout
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return wanted.filter(([name]) => !installed.has(name));
}

let running;

/** Runs a command with its output in .setup/NAME.log; a failure carries the log's last lines. */
function command(program, args, log, options = {}) {
  const path = join(STAMPS, `${log}.log`);
  const file = createWriteStream(path);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    running = child;
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    file.on('error', (error) => {
      child.kill('SIGTERM');
      reject(error);
    });
    child.on('error', (error) => reject(new SetupError(`${program} cannot be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      running = undefined;
      file.end(() => {
        if (code === 0) return resolve();
        const tail = readFileSync(path, 'utf8')
          .trimEnd()
          .split('\n')
          .slice(-15)
          .map((line) => `  ${line}`)
          .join('\n');
        if (/ENOSPC|No space left on device/.test(tail)) return reject(new SetupError(FULL_DISK));
        const how = signal ? `was ended by ${signal}` : `failed with exit code ${code}`;
        reject(
          new SetupError(
            `${program} ${args[0] ?? ''} ${how}; all of its output is in ${relative(process.cwd(), path)}:\n${tail}`,
          ),
        );
      });
    });
  });
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    running?.kill('SIGTERM');
    if (inSetup()) console.error('\ntare: interrupted; the next run goes on from here.');
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

/** The server takes over the signals once the set-up is done (see start.mjs). */
let over = false;
export function setupIsOver() {
  over = true;
  process.removeAllListeners('SIGINT');
  process.removeAllListeners('SIGTERM');
}
const inSetup = () => !over;

/** A stamp holds the hash of a step's inputs: path, size and content of every file. */
function stampHolds(name, inputs) {
  const path = join(STAMPS, name);
  return existsSync(path) && readFileSync(path, 'utf8') === hashOf(inputs);
}

function writeStamp(name, inputs) {
  writeFileSync(join(STAMPS, name), hashOf(inputs));
}

function clearStamp(name) {
  rmSync(join(STAMPS, name), { force: true });
}

function hashOf(inputs) {
  const hash = createHash('sha256');
  const add = (path) => {
    const facts = statSync(path, { throwIfNoEntry: false });
    if (!facts) return;
    if (facts.isDirectory()) {
      for (const name of readdirSync(path).sort()) if (name !== 'node_modules') add(join(path, name));
    } else {
      hash.update(`${relative(ROOT, path)}\0${facts.size}\0`).update(readFileSync(path));
    }
  };
  for (const input of inputs) add(join(ROOT, input));
  return hash.digest('hex');
}

function explain(error) {
  if (error instanceof SetupError) return error.message;
  if (error?.name === 'TareError') return error.message;
  if (error?.code === 'ENOSPC') return FULL_DISK;
  if (['EACCES', 'EPERM', 'EROFS'].includes(error?.code) && error.path) {
    return `${error.path} cannot be written (${error.code}): run this as root, or as the user to whom it belongs`;
  }
  return error?.stack ?? String(error);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setup({ test: process.argv.includes('--test'), machine: !process.argv.includes('--no-machine') });
  setupIsOver();
}
