/**
 * The validation programs of the OCI runtime-tools, built from Debian's sources with Debian's Go compiler into one folder below Tare's
 * data root: apt with lists, cache and status of its own, so nothing is installed on this machine. Each part is made once.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TareError } from '../../../runtime/kernel/error.js';
import { dataRoot, packageRoot } from '../../../runtime/kernel/places.js';
import { hostApt } from '../../../runtime/vm/image/apt.js';

/** The release whose runtime-tools are taken, whatever release this machine runs. */
const RELEASE = 'trixie';
const SOURCE = 'golang-github-opencontainers-runtime-tools';
/** What the programs import, beside themselves. */
const LIBRARIES = [
  `${SOURCE}-dev`,
  ...['google-uuid', 'mrunalp-fileutils', 'urfave-cli'].map((n) => `golang-github-${n}-dev`),
];
const IMPORT_PATH = 'github.com/opencontainers/runtime-tools';

/** Where the programs are, ready: `t/` with one program a test, `runtimetest`, and root file systems. */
export async function prepareSuite(say: (sentence: string) => void): Promise<string> {
  const home = join(dataRoot(), 'validation');
  const built = join(home, 'built');
  if (existsSync(join(built, 't'))) return built;
  mkdirSync(home, { recursive: true });
  const apt = await privateApt(home, say);
  const go = await once(join(home, 'go'), (folder) => fetchGo(apt, folder, say));
  const source = await once(join(home, 'source'), (folder) => fetchSource(apt, folder, say));
  return await once(built, (folder) => build(go, source, folder, say));
}

/** Makes a folder's contents, which are there whole or not at all. */
async function once(folder: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  await make(unfinished);
  await run('mv', [unfinished, folder]);
  return folder;
}

type Apt = (tool: 'apt-get' | 'apt-cache', words: readonly string[], cwd?: string) => Promise<string>;

async function privateApt(home: string, say: (sentence: string) => void): Promise<Apt> {
  const folder = join(home, 'apt');
  for (const part of ['lists/partial', 'cache/archives/partial', 'none'])
    mkdirSync(join(folder, part), { recursive: true });
  const mirror = await mirrorOfHost();
  writeFileSync(join(folder, 'status'), '');
  writeFileSync(
    join(folder, 'sources.list'),
    ['deb', 'deb-src'].map((kind) => `${kind} ${mirror} ${RELEASE} main\n`).join(''),
  );
  const places = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': join(folder, 'none'),
    'Dir::Etc::preferencesparts': join(folder, 'none'),
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Acquire::Languages': 'none',
    'APT::Install-Recommends': '0',
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(places).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt: Apt = (tool, words, cwd) => run(tool, ['-q', ...options, ...words], { cwd });
  say(`reading the lists of Debian's ${RELEASE} at ${mirror}`);
  await apt('apt-get', ['update', '-o', 'APT::Update::Error-Mode=any']);
  return apt;
}

/** Another release is looked for beside this machine's own. */
async function mirrorOfHost(): Promise<string> {
  const { lines, suite } = await hostApt();
  const line = lines.map((text) => text.replace(/\[[^\]]*\] */, '').split(/\s+/)).find((words) => words[2] === suite);
  if (!line)
    throw new TareError('not-found', `no Debian mirror for ${suite} is among the sources of this machine's apt`);
  return line[1] as string;
}

/** The compiler and the libraries, in source form, as their packages have them. */
async function fetchGo(apt: Apt, folder: string, say: (sentence: string) => void): Promise<void> {
  const plan = await apt('apt-get', ['--simulate', 'install', 'golang-go', ...LIBRARIES]);
  const names = [...plan.matchAll(/^Inst (golang-\S+)/gm)].map((match) => match[1] as string);
  const wanted = names.filter((name) => !['golang-go', 'golang-src', 'golang-golang-x-tools'].includes(name));
  say(`downloading ${wanted.length} packages: Go and what the programs import`);
  await apt('apt-get', ['download', ...wanted], folder);
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.deb'))) {
    await run('dpkg-deb', ['--extract', join(folder, name), folder]);
    rmSync(join(folder, name));
  }
}

async function fetchSource(apt: Apt, folder: string, say: (sentence: string) => void): Promise<void> {
  say(`downloading the source of ${SOURCE}`);
  await apt('apt-get', ['source', '--download-only', '--tar-only', '--only-source', SOURCE], folder);
  const archive = readdirSync(folder).find((name) => /\.orig\.tar\.[^.]+$/.test(name));
  if (!archive) throw new TareError('not-found', `apt-get source ${SOURCE} has brought no .orig.tar`);
  await run('tar', ['--extract', '--strip-components=1', '--file', archive], { cwd: folder });
  rmSync(join(folder, archive));
}

async function build(go: string, source: string, folder: string, say: (sentence: string) => void): Promise<void> {
  const path = join(folder, 'gopath');
  cpSync(source, join(path, 'src', IMPORT_PATH), { recursive: true });
  mkdirSync(join(path, 'src/github.com/mndrix/tap-go'), { recursive: true });
  copyFileSync(
    join(packageRoot(), 'test/conformance/validation/tap.go'),
    join(path, 'src/github.com/mndrix/tap-go/tap.go'),
  );
  const version = readdirSync(join(go, 'usr/lib')).find((name) => /^go-[\d.]+$/.test(name)) ?? 'go';
  const root = join(go, 'usr/lib', version);
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    GOROOT: root,
    GOPATH: `${path}:${join(go, 'usr/share/gocode')}`,
    GOCACHE: join(path, 'cache'),
    GO111MODULE: 'off',
    GOTOOLCHAIN: 'local',
    GOPROXY: 'off',
    // runtimetest is run in containers, which have no libraries.
    CGO_ENABLED: '0',
  };
  say('compiling the programs');
  const compile = (output: string, what: string) =>
    run(join(root, 'bin/go'), ['build', '-ldflags', '-s -w', '-tags', 'netgo osusergo', '-o', output, what], {
      env,
      cwd: path,
    });
  await compile(join(folder, 'runtimetest'), `${IMPORT_PATH}/cmd/runtimetest`);
  mkdirSync(join(folder, 't'));
  await compile(`${join(folder, 't')}/`, `${IMPORT_PATH}/validation/...`);
  for (const name of readdirSync(source).filter((file) => /^rootfs-.*\.tar\.gz$/.test(file)))
    copyFileSync(join(source, name), join(folder, name));
  rmSync(path, { recursive: true });
}

async function run(program: string, args: readonly string[], options: object = {}): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 64 << 20, ...options });
    return String(stdout);
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? error)
      .trim()
      .split('\n')
      .slice(-6)
      .join('\n  ');
    throw new TareError('unsupported', `the validation suite cannot be made: ${program} ${args.at(-1)}:\n  ${said}`, {
      cause: error,
    });
  }
}
