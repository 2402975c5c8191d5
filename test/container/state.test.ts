/** The state directory and its journal, without any container. */
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Container, collectGarbage } from '../../runtime/container/index.js';
import { journal, undoAll } from '../../runtime/container/journal.js';
import { StateDirectory } from '../../runtime/container/state-directory.js';
import type { StoredState } from '../../runtime/container/stored-state.js';
import {
  bootId,
  identityOf,
  isAlive,
  type ProcessIdentity,
  pidNamespace,
} from '../../runtime/kernel/process-identity.js';
import { containerId } from '../../runtime/oci/index.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tare-state-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const me = identityOf(process.pid) as ProcessIdentity;
const nobody: ProcessIdentity = { pid: 2 ** 22 + 1, startTime: '1' };
const state = (id: string, change: Partial<StoredState> = {}): Omit<StoredState, 'formatVersion'> => ({
  ociVersion: '1.2.0',
  id: containerId(id),
  bundle: '/b',
  status: 'creating',
  bootId: bootId(),
  creator: me,
  cgroup: [],
  created: '2026-01-01T00:00:00.000Z',
  autoRemove: false,
  ...change,
});
async function make(id: string, change: Partial<StoredState> = {}): Promise<StateDirectory> {
  const { directory, lock } = await StateDirectory.create(root, state(id, change));
  lock.release();
  return directory;
}

describe('a state directory', () => {
  it('that was cut off while it was removed has no name any more, and goes with the garbage', async () => {
    const directory = await make('a', { status: 'running' });
    writeFileSync(join(directory.path, 'exit'), '0 0\n');
    // A folder that cannot be emptied (it is given up after some tries) stands for a kill in the middle.
    mkdirSync(join(directory.path, 'x'));
    execFileSync('mount', ['-t', 'tmpfs', 'tare-test', join(directory.path, 'x')]);
    try {
      expect(() => directory.remove()).toThrow('EBUSY');
    } finally {
      for (const name of readdirSync(root)) execFileSync('umount', [join(root, name, 'x')]);
    }
    expect(() => Container.open('a', root)).toThrow('there is no container a');
    (await make('a')).remove();
    const [left = ''] = readdirSync(root);
    expect(left).toMatch(/^\.a\./);
    // Who removed it is gone.
    renameSync(join(root, left), join(root, `.a.0.${pidNamespace()}.${nobody.pid}`));
    expect(await collectGarbage(root)).toEqual([]);
    expect(readdirSync(root)).toEqual([]);
  });

  it('may have the longest name that there is', async () => {
    const directory = await make('a'.repeat(240));
    expect(readdirSync(root)).toEqual([directory.id]);
    directory.remove();
    expect(readdirSync(root)).toEqual([]);
  });

  it('is nobody else’s to read, complete when it appears, and locked', async () => {
    const { directory, lock } = await StateDirectory.create(root, state('a'));
    expect(statSync(directory.path).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory.path, 'state.json')).mode & 0o777).toBe(0o600);
    expect(directory.read()).toMatchObject({ formatVersion: 1, id: 'a', status: 'creating' });
    await expect(StateDirectory.open(root, containerId('a')).lock(20)).rejects.toMatchObject({ code: 'busy' });
    lock.release();
    (await directory.lock(20)).release();
    expect(readdirSync(root)).toEqual(['a']);
  });

  it('is not made twice, nor over anything that is there', async () => {
    await make('a');
    await expect(make('a')).rejects.toMatchObject({ code: 'exists', message: 'a container a exists already' });
    mkdirSync(join(root, 'machines'));
    await expect(make('machines')).rejects.toMatchObject({ code: 'exists' });
    expect(readdirSync(root).sort()).toEqual(['a', 'machines']);
  });

  it('is not found where there is none, or something else', () => {
    mkdirSync(join(root, 'machines'));
    for (const id of ['a', 'machines']) {
      expect(() => StateDirectory.open(root, containerId(id))).toThrow(expect.objectContaining({ code: 'not-found' }));
    }
  });

  it('of a newer format, or damaged, is not read', async () => {
    const directory = await make('a');
    writeFileSync(join(directory.path, 'state.json'), '{"formatVersion": 2}');
    expect(() => directory.read()).toThrow(expect.objectContaining({ code: 'state' }));
    writeFileSync(join(directory.path, 'state.json'), '{"formatV');
    expect(() => directory.read()).toThrow(expect.objectContaining({ code: 'protocol' }));
  });

  it('waits for whoever deletes it, and then is not there', async () => {
    const { directory, lock } = await StateDirectory.create(root, state('a'));
    const waiting = StateDirectory.open(root, containerId('a')).lock(5000);
    await undoAll(directory);
    lock.release();
    await expect(waiting).rejects.toMatchObject({ code: 'not-found' });
  });

  it('has the exit status that stage wrote', async () => {
    const directory = await make('a');
    expect(directory.readExit()).toBeUndefined();
    writeFileSync(join(directory.path, 'exit'), '768 1790000000.000000001\n');
    expect(directory.readExit()).toEqual({ status: 768, at: '1790000000.000000001' });
  });
});

describe('a damaged state', () => {
  it.each(['x', 'null', '[]', '{}', '"a"', '{"formatVersion": 1}'])('%s leaves the others alone', async (text) => {
    await make('a', { status: 'running', init: me });
    const damaged = await make('b');
    writeFileSync(join(damaged.path, 'state.json'), text);
    const failures: string[] = [];
    const states = Container.states(root, ({ message }) => failures.push(message));
    expect(states.map(({ state }) => state.id)).toEqual(['a']);
    expect(failures).toEqual([expect.stringMatching(/b\/state\.json is damaged/)]);
    await expect(Container.open('b', root).delete()).rejects.toMatchObject({ code: 'protocol' });
    await Container.open('b', root).delete({ force: true });
    expect(readdirSync(root)).toEqual(['a']);
  });

  it('is garbage once nothing of the journal runs', async () => {
    const damaged = await make('a');
    await make('b', { creator: nobody });
    journal(damaged, { undo: 'process', process: nobody });
    journal(damaged, { undo: 'process', process: me });
    writeFileSync(join(damaged.path, 'state.json'), 'x');
    expect(await collectGarbage(root)).toEqual(['b']);
    rmSync(join(damaged.path, 'journal'));
    journal(damaged, { undo: 'process', process: nobody });
    expect(await collectGarbage(root)).toEqual(['a']);
  });

  it('with a damaged journal is left, and the others are collected', async () => {
    const damaged = await make('a', { creator: nobody });
    writeFileSync(join(damaged.path, 'journal'), 'x\n');
    await make('b', { creator: nobody });
    const failures: string[] = [];
    expect(await collectGarbage(root, ({ message }) => failures.push(message))).toEqual(['b']);
    expect(failures).toEqual([expect.stringMatching(/a\/journal is damaged/)]);
  });
});

describe('a state root that cannot be used', () => {
  it('is said, not taken for an empty one', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    await expect(StateDirectory.create(file, state('a'))).rejects.toMatchObject({
      message: expect.stringMatching(/^the states of the containers cannot be read: ENOTDIR/),
    });
    expect(() => StateDirectory.list(file)).toThrow(/^the states of the containers cannot be read: ENOTDIR/);
  });
});

describe('the journal', () => {
  it('ends processes that are still the same, and no others', async () => {
    const directory = await make('a');
    const child = spawn('sleep', ['1000']);
    const identity = identityOf(child.pid as number) as ProcessIdentity;
    const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
    journal(directory, { undo: 'process', process: { ...identity, startTime: '1' } });
    journal(directory, { undo: 'process', process: nobody });
    await undoAll(directory);
    expect(isAlive(identity)).toBe(true);

    const other = await make('b');
    journal(other, { undo: 'process', process: identity });
    journal(other, { undo: 'process', process: identity });
    await undoAll(other);
    expect(await ended).toBe('SIGKILL');
    expect(readdirSync(root)).toEqual([]);
  });

  it('is undone when its processes have ended, not only been told to', async () => {
    const directory = await make('a');
    const children = Array.from({ length: 20 }, () => spawn('sleep', ['1000']));
    const identities = children.map(({ pid }) => identityOf(pid as number) as ProcessIdentity);
    identities.forEach((process, i) => {
      journal(directory, { undo: i % 2 === 0 ? 'hook' : 'process', process });
    });
    await undoAll(directory);
    expect(identities.filter(isAlive)).toEqual([]);
  });

  it('that was being written when its writer died is read as far as it goes', async () => {
    const directory = await make('a');
    journal(directory, { undo: 'cgroups', places: [] });
    appendFileSync(join(directory.path, 'journal'), '{"undo":"proc');
    await undoAll(directory);
    expect(existsSync(directory.path)).toBe(false);
  });

  it('can be replayed again', async () => {
    const directory = await make('a');
    const place = { version: 1 as const, controllers: ['x'], mountPoint: root, directory: join(root, 'cgroup') };
    mkdirSync(place.directory);
    journal(directory, { undo: 'cgroups', places: [place] });
    const text = readFileSync(join(directory.path, 'journal'), 'utf8');
    await undoAll(directory);
    expect(existsSync(place.directory)).toBe(false);
    const again = await make('a');
    writeFileSync(join(again.path, 'journal'), text);
    await undoAll(again);
    expect(readdirSync(root)).toEqual([]);
  });
});

describe('garbage', () => {
  it.each<[string, Partial<StoredState>, boolean]>([
    ['being created by who is gone', { creator: nobody }, true],
    ['created by who is gone, and never started', { status: 'created', creator: nobody }, true],
    [
      'ended, to be removed by who is gone',
      { status: 'running', creator: nobody, init: nobody, autoRemove: true },
      true,
    ],
    ['ended, to be removed by who is there', { status: 'running', init: nobody, autoRemove: true }, false],
    ['ended, to be kept', { status: 'running', creator: nobody, init: nobody }, false],
    ['running, whoever made it', { status: 'running', creator: nobody, init: me, autoRemove: true }, false],
    ['of an earlier boot, to be removed', { status: 'running', bootId: 'x', init: me, autoRemove: true }, true],
  ])('a container %s: %o', async (_, change, isGarbage) => {
    await make('a', change);
    expect(await collectGarbage(root)).toEqual(isGarbage ? ['a'] : []);
    expect(existsSync(join(root, 'a'))).toBe(!isGarbage);
  });

  it('is not what somebody holds the lock of, nor what is no container', async () => {
    const { lock } = await StateDirectory.create(root, state('a', { creator: nobody }));
    mkdirSync(join(root, 'machines'));
    const namespace = pidNamespace();
    mkdirSync(join(root, `.half.${namespace}.${nobody.pid}`));
    mkdirSync(join(root, `.half.${namespace}.${process.pid}`));
    // In another pid namespace, and so known by its age alone.
    for (const age of [0, 3600]) {
      mkdirSync(join(root, `.half.1.${age}`));
      utimesSync(join(root, `.half.1.${age}`), Date.now() / 1000 - age, Date.now() / 1000 - age);
    }
    expect(await collectGarbage(root)).toEqual([]);
    lock.release();
    expect(readdirSync(root).sort()).toEqual(['.half.1.0', `.half.${namespace}.${process.pid}`, 'a', 'machines']);
  });
});
