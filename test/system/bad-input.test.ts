/** What bad input gets: one clear sentence, an exit code that is not zero, and nothing left behind. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld } from '../harness/world.js';

const config = (change: object = {}) =>
  JSON.stringify({
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    process: { cwd: '/', args: ['/bin/true'], env: ['PATH=/bin'], user: { uid: 0, gid: 0 } },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: { namespaces: [{ type: 'mount' }, { type: 'pid' }] },
    ...change,
  });

/** What the bundle's config.json holds (null: it has none), the rest of the command line, and what must be said. */
const CASES: readonly [name: string, json: string | null, args: string[], sentence: RegExp][] = [
  ['no config.json', null, [], /config\.json does not exist/],
  ['invalid JSON', '{"ociVersion": ', [], /config\.json is not valid JSON/],
  ['a wrong ociVersion', config({ ociVersion: '2.0.0' }), [], /ociVersion must be a version 1\.x\.y, not "2\.0\.0"/],
  ['a missing rootfs', config({ root: { path: 'nowhere' } }), [], /the root file system .*nowhere does not exist/],
  ['a rootfs that is a file', config({ root: { path: 'config.json' } }), [], /is not a directory/],
  [
    'an unknown namespace',
    config({ linux: { namespaces: [{ type: 'cpu' }] } }),
    [],
    /linux\.namespaces\[0\]\.type must be one of/,
  ],
  [
    'a section for another platform',
    config({ linux: undefined, zos: { namespaces: [{ type: 'pid' }] } }),
    [],
    /zos asks for a container for zos; Tare makes them for Linux/,
  ],
  [
    'an unknown file system',
    config({ mounts: [{ destination: '/x', type: 'nosuchfs' }] }),
    [],
    /fsopen\("nosuchfs".*ENODEV.*mounts\[0\]/,
  ],
  [
    'an unknown mount option',
    config({ mounts: [{ destination: '/x', type: 'tmpfs', options: ['size=1', 'colour=red'] }] }),
    [],
    /fsconfig\(.*"colour".*EINVAL.*mounts\[0\]/,
  ],
  [
    'a mount source that is not there',
    config({ mounts: [{ destination: '/x', type: 'bind', source: '/no/such', options: ['bind'] }] }),
    [],
    /the source \/no\/such of the mount at \/x/,
  ],
  [
    'a directory that is a file',
    config({ process: { cwd: '/etc/passwd', args: ['/bin/true'], user: { uid: 0, gid: 0 } } }),
    [],
    /mkdir_in_root\(.*"\/etc\/passwd".*ENOTDIR \(process\.cwd/,
  ],
  ['an id with ..', config(), ['--name', '../x'], /"\.\.\/x" is not a container id/],
  ['an id of one dot', config(), ['--name', '.'], /"\." is not a container id/],
  ['an id with a slash', config(), ['--name', 'a/b'], /is not a container id/],
  ['an id with a newline', config(), ['--name', 'a\nb'], /"a\\nb" is not a container id/],
  ['an id of 5000 characters', config(), ['--name', 'x'.repeat(5000)], /has at most 240 characters, not 5000/],
  ['an option of --rootfs', config(), ['--memory', '64m'], /--memory does not go with --bundle/],
  ['a capability besides', config(), ['--cap-add', 'ALL'], /--cap-add does not go with --bundle/],
  ['both bundle and rootfs', config(), ['--rootfs', '/'], /either --bundle or --rootfs/],
  ['an unknown option', config(), ['--memori', '1'], /unknown option '--memori'/],
];

describe('a bundle with', () => {
  it.each(CASES)('%s', (_, json, args, sentence) =>
    inWorld('bad', async (world) => {
      const bundle = join(world.folder, 'bundle');
      mkdirSync(bundle);
      makeRootfs(join(bundle, 'rootfs'));
      if (json !== null) writeFileSync(join(bundle, 'config.json'), json);
      const ran = await world.tare(['run', '--bundle', bundle, ...args]);
      expect(ran.stderr).toMatch(sentence);
      expect(ran.stderr).toMatch(/^tare: [^\n]+\n$/);
      expect(ran.status).toBe(125);
      expect(ran.stdout).toBe('');
      expect(await world.leaks()).toEqual([]);
    }),
  );
});

describe('the command line with', () => {
  it.each<[string, string[], RegExp]>([
    ['a misspelt command', ['rnu'], /unknown command 'rnu' \(Did you mean run\?\)/],
    [
      'a command of Docker’s',
      ['logs', 'x'],
      /there is no command "logs": what a container prints goes to the terminal/,
    ],
    [
      'a command of images alone',
      ['prune'],
      /there is no command "prune": "tare image prune" removes what nothing uses/,
    ],
    ['a name of Docker’s', ['rm', 'x'], /there is no command "rm": "tare delete" removes a container/],
    ['an unknown command and --help', ['list', '--help'], /unknown command 'list'/],
    ['no feature', ['plan', '--rootfs', '/tmp', '--features-without', '', '--', 'x'], /--features-without is empty/],
    ['bundles to compare, and more', ['plan', '--rootfs', '/tmp', '--diff', '/a', '/b'], /--diff compares two bundles/],
    ['a terminal of a machine, and none of ours', ['machine', 'shell'], /^tare: tare machine shell needs a terminal/],
    ['no root file system', ['run'], /give the name of an image, or --rootfs DIR or --bundle DIR/],
    ['an empty root file system', ['run', '--rootfs', '', '--', 'true'], /--rootfs is empty/],
    ['an empty bundle', ['run', '--bundle', ''], /--bundle is empty/],
    ['a variable without a name', ['run', '--rootfs', '/tmp', '-e', '=x', '--', 'x'], /--env =x: must be NAME=value/],
    [
      'a relative folder',
      ['run', '--rootfs', '/tmp', '-w', 'bin', '--', 'x'],
      /--workdir bin: must be an absolute path/,
    ],
    ['no command', ['run', '--rootfs', '/tmp'], /give a command to run/],
    [
      'a user by 2^32',
      ['run', '--rootfs', '/tmp', '-u', '4294967296', '--', 'x'],
      /--user 4294967296: must be UID or UID:GID/,
    ],
    ['a user by 2^32 - 1', ['run', '--rootfs', '/tmp', '-u', '4294967295', '--', 'x'], /--user 4294967295: must be/],
    ['a user of -1', ['run', '--rootfs', '/tmp', '--user=-1', '--', 'x'], /--user -1: must be/],
    ['a user by name', ['run', '--rootfs', '/tmp', '-u', 'root', '--', 'x'], /--user root: must be/],
    [
      'a size that is none',
      ['run', '--rootfs', '/tmp', '--memory', 'much', '--', 'x'],
      /--memory much: must be a size/,
    ],
    ['a container that is not there', ['delete', 'nobody'], /there is no container nobody/],
    ['a signal that is none', ['kill', 'nobody', 'SIGFUN'], /"SIGFUN" is no signal|no container nobody/],
    ['a state root in /proc', ['--state', '/proc/x', 'run', '--rootfs', '/tmp', '--', 'x'], /cannot be kept: ENOENT/],
    ['a state root that is a file', ['--state', '/etc/passwd', 'ps'], /cannot be read: ENOTDIR/],
    [
      'a data root in /proc',
      ['--root', '/proc/x', 'images'],
      /image store \/proc\/x\/images cannot be opened: no folder/,
    ],
    ['a data root in a file', ['--root', '/etc/passwd/x', 'images'], /cannot be opened: no folder can be made at/],
    ['one bundle to compare', ['plan', '--diff', '/tmp'], /--diff takes two bundles/],
  ])('%s', (_, args, sentence) =>
    inWorld('usage', async (world) => {
      const ran = await world.tare(args);
      expect(ran.stderr).toMatch(sentence);
      expect(ran.stderr).toMatch(/^tare: [^\n]+\n$/);
      expect(ran.status).toBe(125);
    }),
  );
});

describe('what the machine refuses', () => {
  it('is no internal error: a full disk', () =>
    inWorld('full', async (world) => {
      for (const command of ['ps', 'exercise list']) {
        const ran = await world.run(['sh', '-c', `tare ${command} > /dev/full`]);
        expect(ran).toMatchObject({
          status: 125,
          stderr: expect.stringMatching(/^tare: standard output .*ENOSPC.*\n$/),
        });
      }
    }));

  it('a name that is taken is the container’s, not its cgroup’s', () =>
    inWorld('dup', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const script = `
        tare run --rootfs "$1" --name dup --memory 64m -- sleep 1000 & pid=$!
        until tare ps | grep -q '^dup .*running'; do sleep 0.1; done
        tare run --rootfs "$1" --name dup --memory 64m -- true; echo $?
        tare kill dup KILL; wait $pid`;
      const ran = await world.run(['bash', '-c', script, 'bash', rootfs]);
      expect(ran).toMatchObject({ stdout: '125\n', stderr: 'tare: a container dup exists already\n' });
    }));

  it('a state that is damaged does not hide the others', () =>
    inWorld('damaged', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const script = `
        for name in a b; do tare run --rootfs "$1" --name $name -- sleep 1000 & done
        until [ $(tare ps | grep -c running) = 2 ]; do sleep 0.1; done
        echo x > "$TARE_STATE/a/state.json"
        tare ps | cut -d' ' -f1; tare gc; tare delete -f a; tare delete -f b; wait; tare ps | wc -l`;
      const ran = await world.run(['bash', '-c', script, 'bash', rootfs]);
      expect(ran.stdout).toBe('ID\nb\nnothing was left behind\n1\n');
      expect(ran.stderr).toMatch(/^tare: warning: .*a\/state\.json is damaged[^\n]*\n$/);
    }));

  it('a command without its subcommand prints its help, and no more', () =>
    inWorld('help', async (world) => {
      const { stderr, status } = await world.tare(['seccomp']);
      expect(stderr).toMatch(/^Usage: tare seccomp/);
      expect(stderr).not.toMatch(/outputHelp/);
      expect(status).toBe(125);
    }));

  it('tare-oci has help, of itself and of each command that there is', () =>
    inWorld('helpoci', async (world) => {
      const help = (...words: string[]) => world.run(['tare-oci', 'help', ...words]);
      expect(await help()).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Usage: tare-oci \[options\]/) });
      expect(await help('kill')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Usage: tare-oci kill/) });
      expect(await help('nosuch')).toEqual({
        status: 1,
        stdout: '',
        stderr: "tare-oci: No help topic for 'nosuch': there is no such command\n",
      });
    }));
});
