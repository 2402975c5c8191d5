/** Roots: /var/lib/tare and /run/tare for root, the XDG base directories for everybody else, and the variables that move them. */
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dataRoot, packageRoot, stateRoot } from '../../runtime/kernel/places.js';
import { withFolder } from './support.js';

const namespace = vi.hoisted(() => ({ first: true }));
vi.mock('../../runtime/kernel/user-namespace.js', () => ({ inFirstUserNamespace: () => namespace.first }));

const asUser = (uid: number) => vi.spyOn(process, 'geteuid').mockReturnValue(uid);
afterEach(() => vi.restoreAllMocks());

describe('places', () => {
  it('finds the package from the sources', () => {
    expect(existsSync(join(packageRoot(), 'native/stage/steps.def'))).toBe(true);
  });

  it('gives root the system’s folders', () => {
    asUser(0);
    expect([dataRoot({}), stateRoot({})]).toEqual(['/var/lib/tare', '/run/tare']);
  });

  it('gives a user the XDG folders', () => {
    asUser(1000);
    expect(dataRoot({ XDG_DATA_HOME: '/d' })).toBe('/d/tare');
    expect(stateRoot({ XDG_RUNTIME_DIR: '/r' })).toBe('/r/tare');
    expect(dataRoot({})).toMatch(/\/\.local\/share\/tare$/);
  });

  it('makes a folder that only the user can enter, where there is no XDG_RUNTIME_DIR, and takes nobody else’s', () =>
    withFolder((folder) => {
      asUser(1000);
      const own = join(folder, `tare-${userInfo().uid}`);
      expect(stateRoot({ TMPDIR: folder })).toBe(join(own, 'tare'));
      expect(statSync(own).mode & 0o777).toBe(0o700);
      expect(stateRoot({ TMPDIR: folder })).toBe(join(own, 'tare'));
      const refused = expect.objectContaining({ code: 'permission', path: own });
      chmodSync(own, 0o777);
      expect(() => stateRoot({ TMPDIR: folder })).toThrow(refused);
      const elsewhere = join(folder, 'elsewhere');
      mkdirSync(elsewhere, { mode: 0o700 });
      symlinkSync('..', join(elsewhere, `tare-${userInfo().uid}`));
      expect(() => stateRoot({ TMPDIR: elsewhere })).toThrow(expect.objectContaining({ code: 'permission' }));
    }));

  it('gives root in a user namespace of a user’s the folder of that user', () => {
    asUser(0);
    namespace.first = false;
    expect(stateRoot({ XDG_RUNTIME_DIR: '/r', USER: 'somebody' })).toBe('/r/tare');
    expect([stateRoot({ XDG_RUNTIME_DIR: '/r', USER: 'root' }), stateRoot({})]).toEqual(['/run/tare', '/run/tare']);
    namespace.first = true;
    expect(stateRoot({ XDG_RUNTIME_DIR: '/r', USER: 'somebody' })).toBe('/run/tare');
  });

  it('obeys TARE_ROOT and TARE_STATE, root or not', () => {
    expect([dataRoot({ TARE_ROOT: '/a' }), stateRoot({ TARE_STATE: '/b' })]).toEqual(['/a', '/b']);
  });
});
