/** Images that tests make are what other programs take them for. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { busyboxImage, dockerArchive, makeImage, makeLayer, ociArchive, writeLayout } from './images.js';
import { tarOf } from './tar.js';
import { describeTree, diffTrees } from './tree.js';

const folder = mkdtempSync(join(tmpdir(), 'tare-images-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...[program = '', ...args]: string[]) => execFileSync(program, args, { encoding: 'utf8' });

describe('images for tests', () => {
  const layer = makeLayer(
    [{ path: 'a/' }, { path: `a/${'long'.repeat(60)}`, content: 'text', xattrs: { 'user.x': Buffer.from([0, 255]) } }],
    'zstd',
  );
  const image = makeImage([layer], { config: { Cmd: ['x'] } });

  it('are read by skopeo, as a layout and as archives', () => {
    const box = busyboxImage();
    writeLayout(join(folder, 'layout'), [{ name: 'box', image: box }]);
    writeFileSync(join(folder, 'oci.tar'), ociArchive([{ name: 'one', image }]));
    writeFileSync(join(folder, 'docker.tar'), dockerArchive([{ name: 'box:1', image: box }]));
    for (const name of [
      `oci:${folder}/layout:box`,
      `oci-archive:${folder}/oci.tar:one`,
      `docker-archive:${folder}/docker.tar`,
    ])
      expect(JSON.parse(run('skopeo', 'inspect', '--config', name))).toMatchObject({ os: 'linux' });
    run('skopeo', 'copy', '-q', `docker-archive:${folder}/docker.tar`, `dir:${folder}/copy`);
  });

  it('have layers that tar takes', () => {
    const list = execFileSync('tar', ['--xattrs', '-tvvf', '-'], { input: layer.tar, encoding: 'utf8' });
    expect(list).toContain('long'.repeat(60));
    expect(list).toContain('user.x');
  });
});

describe('the comparer of trees', () => {
  const make = (name: string) => {
    const root = join(folder, name);
    mkdirSync(root);
    const input = tarOf([
      { path: 'file', content: 'text', mtime: '1700000000.123456789', uid: 5, gid: 70_000 },
      { path: 'again', type: 'hardlink', target: 'file' },
      { path: 'link', type: 'symlink', target: 'nowhere' },
      { path: 'null', type: 'character', major: 1, minor: 3 },
      { path: Buffer.from([0xff, 0xfe]), content: 'no UTF-8', xattrs: { 'user.x': 'y' } },
    ]);
    execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-C', root, '-xf', '-'], { input });
    utimesSync(root, 1, 1);
    return root;
  };

  it('finds equal what is equal', () => {
    const [first, second] = [describeTree(make('one')), describeTree(make('two'))];
    expect(diffTrees(first, second)).toEqual([]);
    expect(first.get('file')).toMatchObject({
      uid: 5,
      gid: 70_000,
      mtimeNs: 1_700_000_000_123_456_789n,
      sameAs: 'again',
    });
    expect(first.get('\xff\xfe')).toMatchObject({ xattrs: { 'user.x': 'y' } });
    expect(first.get('null')).toMatchObject({ type: 'character', device: '1:3' });
  });

  it.each<[string, (root: string) => void, string]>([
    ['mode', (root) => chmodSync(join(root, 'file'), 0o4755), 'file: mode is 0644 in the first, 04755 in the second'],
    ['owner', (root) => chownSync(join(root, 'null'), 1, 0), 'null: uid is 00 in the first, 01 in the second'],
    ['content', (root) => writeFileSync(join(root, 'file'), 'TEXT'), 'file: digest is '],
    ['time', (root) => utimesSync(join(root, 'null'), 9, 9), 'null: mtimeNs is '],
    ['one more', (root) => mkdirSync(join(root, 'more')), 'more: only in the second'],
    ['one less', (root) => rmSync(join(root, 'null')), 'null: only in the first'],
    [
      'attribute',
      (root) => run('setfattr', '-n', 'user.x', '-v', 'z', join(root, 'file')),
      'file: xattrs is [] in the first',
    ],
    [
      'another target',
      (root) => {
        rmSync(join(root, 'link'));
        symlinkSync('elsewhere', join(root, 'link'));
      },
      'link: target is nowhere in the first, elsewhere in the second',
    ],
    [
      'no link any more',
      (root) => {
        run('cp', '-a', '--remove-destination', join(root, 'file'), join(root, 'copy'));
        rmSync(join(root, 'again'));
        linkSync(join(root, 'copy'), join(root, 'again'));
        rmSync(join(root, 'copy'));
      },
      'file: sameAs is again in the first, undefined in the second',
    ],
  ])('sees another %s', (name, change, line) => {
    const first = make(`${name}-1`);
    const second = make(`${name}-2`);
    change(second);
    expect(diffTrees(describeTree(first), describeTree(second))).toContainEqual(expect.stringContaining(line));
  });
});
