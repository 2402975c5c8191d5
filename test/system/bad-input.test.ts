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
    'a part of the specification that is not there yet',
    config({ hooks: { prestart: [{ path: '/x' }] } }),
    [],
    /hooks\.prestart asks for hooks, which this version/,
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
  ['an option of --rootfs', config(), ['--memory', '64m'], /--memory goes with --rootfs only/],
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
    ['no root file system', ['run', '--', 'true'], /give --rootfs DIR or --bundle DIR/],
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
