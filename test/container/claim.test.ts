/** Two state roots with a container of one name, and two pid namespaces with one state root: nobody takes what is another's. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimOf } from '../../runtime/container/cgroup-claim.js';
import { Container, type CreateOptions, collectGarbage, defaultConfig } from '../../runtime/container/index.js';
import { makeRootfs, noRootfs } from '../harness/rootfs.js';

const missing = process.geteuid?.() === 0 ? noRootfs() : 'a container without a user namespace needs root';

if (missing !== undefined) it('a claim', (context) => context.skip(missing));
else
  describe('a container', () => {
    let folder: string;
    let rootfs: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'tare-claim-'));
      rootfs = makeRootfs(join(folder, 'rootfs'));
    });
    afterAll(async () => {
      for (const root of ['one', 'two'])
        for (const container of Container.list(join(folder, root))) await container.delete({ force: true });
      rmSync(folder, { recursive: true });
    });

    let count = 0;
    const newId = () => `claim-${process.pid}-${count++}`;
    const options = (id: string, root: string, driver?: CreateOptions['driver']): CreateOptions => ({
      id,
      bundle: {
        path: folder,
        rootfs,
        config: defaultConfig({ rootfs, args: ['sleep', '1000'], caller: { uid: 0, gid: 0 } }),
      },
      stateRoot: join(folder, root),
      supervisor: 'caller',
      ...(driver && { driver }),
    });

    it('that comes second to a cgroup leaves it to the first', async () => {
      const id = newId();
      let go: () => void = () => undefined;
      const gone = new Promise<void>((resolve) => {
        go = resolve;
      });
      // It is there, and nothing of it is made yet, when the other looks.
      const { promise: waits, first } = firstStep(gone);
      const winner = Container.create(options(id, 'one', { beforeStep: first }));
      await waits;
      await expect(Container.create(options(id, 'two'))).rejects.toMatchObject({
        code: 'exists',
        message: expect.stringContaining(join(folder, 'one', id)),
      });
      expect(readdirSync(join(folder, 'two'))).toEqual([]);
      go();
      const container = await winner;
      expect(container.state().status).toBe('created');
      await container.delete({ force: true });
      // Given back.
      const second = await Container.create(options(id, 'two'));
      await second.delete({ force: true });
    });

    it('that was killed before it had its cgroup does not take the other’s when it is deleted', async () => {
      const id = newId();
      const winner = await Container.create(options(id, 'one'));
      const state = JSON.parse(readFileSync(join(folder, 'one', id, 'state.json'), 'utf8'));
      const journal = readFileSync(join(folder, 'one', id, 'journal'), 'utf8').split('\n');
      // What the loser had written when it was killed: what it would have made.
      const path = join(folder, 'two', id);
      writeState(path, { ...state, status: 'creating', init: undefined });
      writeFileSync(join(path, 'journal'), `${journal.find((line) => line.includes('"cgroups"'))}\n`);
      await Container.open(id, join(folder, 'two')).delete({ force: true });
      expect(existsSync(path)).toBe(false);
      expect(winner.state().status).toBe('created');
      expect(winner.processes()).toHaveLength(1);
      await winner.delete({ force: true });
    });

    it('has a cgroup whose claimant is gone', async () => {
      const id = newId();
      const before = await Container.create(options(id, 'one'));
      const { cgroup } = JSON.parse(readFileSync(join(folder, 'one', id, 'state.json'), 'utf8'));
      await before.delete({ force: true });
      const claim = claimOf(cgroup) as string;
      symlinkSync(join(folder, 'no-such-state', id), claim);
      const container = await Container.create(options(id, 'two'));
      await container.delete({ force: true });
      expect(lstatSync(claim, { throwIfNoEntry: false })).toBe(undefined);
      symlinkSync(join(folder, 'no-such-state', id), claim);
      await collectGarbage(join(folder, 'one'));
      expect(lstatSync(claim, { throwIfNoEntry: false })).toBe(undefined);
    });

    it('of another pid namespace is no garbage, and lives as long as somebody is in its cgroup', async () => {
      const id = newId();
      const container = await Container.create(options(id, 'one'));
      const path = join(folder, 'one', id);
      const state = JSON.parse(readFileSync(join(path, 'state.json'), 'utf8'));
      const nobody = { pid: 2 ** 22, startTime: '1' };
      writeState(path, { ...state, pidNamespace: '1', init: nobody, creator: nobody });
      expect(await collectGarbage(join(folder, 'one'))).toEqual([]);
      expect(container.state().status).toBe('created');
      writeState(path, { ...state, init: nobody, creator: nobody });
      expect(container.state().status).toBe('stopped');
      expect(await collectGarbage(join(folder, 'one'))).toEqual([id]);
      expect(existsSync(path)).toBe(false);
    });
  });

/** Stops at the first step until told, and tells that it has got there. */
function firstStep(until: Promise<void>) {
  let reached: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const first = () => {
    reached();
    return until;
  };
  return { promise, first };
}

function writeState(path: string, state: object): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  writeFileSync(join(path, 'state.json'), JSON.stringify(state));
}
