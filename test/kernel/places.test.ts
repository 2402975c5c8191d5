/** Roots: /var/lib/tare and /run/tare for root, the XDG base directories for everybody else, and the variables that move them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dataRoot, packageRoot, stateRoot } from '../../runtime/kernel/places.js';

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
    expect(stateRoot({})).toMatch(/^\/tmp\/tare-\d+\/tare$/);
  });

  it('obeys TARE_ROOT and TARE_STATE, root or not', () => {
    expect([dataRoot({ TARE_ROOT: '/a' }), stateRoot({ TARE_STATE: '/b' })]).toEqual(['/a', '/b']);
  });
});
