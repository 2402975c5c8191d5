/** HOME is what the image's /etc/passwd says, and an image can neither lead that look-up out nor hold it up. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environmentOf, homeOf, withHome } from '../../runtime/container/home.js';
import { defaultConfig } from '../../runtime/container/index.js';

const USERS =
  'root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/bin/sh\nnone:x:34:34:::\nodd:x:35:35::nowhere:\nshort:x:36\n';

let folder: string;
let number = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-home-'));
  writeFileSync(join(folder, 'passwd'), 'host:x:33:33::/of/the/host:/bin/sh\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

function image(make: (passwd: string) => unknown): string {
  const rootfs = join(folder, `rootfs${number++}`);
  mkdirSync(join(rootfs, 'etc'), { recursive: true });
  make(join(rootfs, 'etc/passwd'));
  return rootfs;
}

describe('the home of a user', () => {
  it.each([
    [0, '/root'],
    [33, '/var/www'],
    [34, '/'],
    [35, '/'],
    [36, '/'],
    [1000, '/'],
  ])('%i is %s', (uid, home) => {
    expect(
      homeOf(
        image((passwd) => writeFileSync(passwd, USERS)),
        uid,
      ),
    ).toBe(home);
  });

  it.each<[string, (passwd: string) => unknown]>([
    ['is not there', () => undefined],
    ['is a FIFO', (passwd) => execFileSync('mkfifo', [passwd])],
    ['is a directory', (passwd) => mkdirSync(passwd)],
    ['is a link out', (passwd) => symlinkSync(`../../../../../../..${join(folder, 'passwd')}`, passwd)],
    ['is a link to an absolute path', (passwd) => symlinkSync(join(folder, 'passwd'), passwd)],
    ['is larger than a list of users', (passwd) => writeFileSync(passwd, USERS + '#'.repeat(2 ** 20))],
    ['has a NUL byte in it', (passwd) => writeFileSync(passwd, 'web:x:33:33::/var\0:/bin/sh\n')],
  ])('is / when /etc/passwd %s', (_, make) => {
    expect(homeOf(image(make), 33)).toBe('/');
  });

  it('is found through a link within the image', () => {
    const rootfs = image((passwd) => symlinkSync('/etc/users', passwd));
    writeFileSync(join(rootfs, 'etc/users'), USERS);
    expect(homeOf(rootfs, 33)).toBe('/var/www');
  });
});

describe('a bundle', () => {
  const bundle = (env: readonly string[]) => {
    const rootfs = image((passwd) => writeFileSync(passwd, USERS));
    const config = defaultConfig({
      rootfs,
      args: ['true'],
      env,
      user: { uid: 33, gid: 33 },
      caller: { uid: 0, gid: 0 },
    });
    return { path: rootfs, rootfs, config };
  };
  const homes = (env: readonly string[]) =>
    withHome(bundle(env)).config.process?.env?.filter((entry) => entry.startsWith('HOME='));

  it('without HOME gets it', () => expect(homes(['A=1'])).toEqual(['HOME=/var/www']));
  it('with HOME keeps its own', () => expect(homes(['HOME=/mine'])).toEqual(['HOME=/mine']));
  it('with an empty HOME gets it', () => expect(homes(['HOME=/mine', 'HOME='])).toEqual(['HOME=/var/www']));
  it('has each variable once: the last entry wins', () =>
    expect(environmentOf(['A=1', 'B=2', 'A=3', 'HOME=/', 'BARE', 'C=a=b'], () => '/other')).toEqual([
      'B=2',
      'A=3',
      'HOME=/',
      'BARE',
      'C=a=b',
    ]));
});
