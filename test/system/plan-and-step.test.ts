/** `tare plan` and `tare step`: the container as a program, printed, compared, and run one step at a time. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeRootfs } from '../harness/rootfs.js';
import { CLOSE, typing } from '../harness/typing.js';
import { inWorld, type World } from '../harness/world.js';

function bundle(world: World, name: string, change: object = {}): string {
  const folder = join(world.folder, name);
  mkdirSync(folder);
  makeRootfs(join(folder, 'rootfs'));
  const config = {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    hostname: 'box',
    process: {
      cwd: '/',
      args: ['/bin/echo', 'done'],
      env: ['PATH=/bin'],
      user: { uid: 0, gid: 0 },
      noNewPrivileges: true,
    },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: { namespaces: [{ type: 'mount' }, { type: 'pid' }, { type: 'uts' }], maskedPaths: ['/proc/keys'] },
    ...change,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

describe('tare plan', () => {
  it('prints both lanes, each step with its call, its field and its why', () =>
    inWorld('plan', async (world) => {
      const { stdout, status } = await world.tare(['plan', '--bundle', bundle(world, 'b')]);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^outside: /m);
      expect(stdout).toMatch(/^inside: /m);
      expect(stdout).toMatch(
        /clone\(inside, CLONE_NEWNS\|CLONE_NEWUTS\|CLONE_NEWPID, .*linux\.namespaces +the process that becomes/,
      );
      expect(stdout).toMatch(/sethostname\("box"\) +hostname +its own host name/);
      expect(stdout).toMatch(/fsopen\("proc", FSOPEN_CLOEXEC\) = proc-context +mounts\[0\] +/);
      expect(stdout).toMatch(/linux\.maskedPaths\[0\]/);
      expect(existsSync(join(world.folder, 'b/rootfs/proc'))).toBe(false); // nothing was made
    }));

  it('gives JSON that the published schema describes', () =>
    inWorld('planjson', async (world) => {
      const { stdout } = await world.tare(['plan', '--json', '--bundle', bundle(world, 'b')]);
      const plan = JSON.parse(stdout);
      expect(plan).toMatchObject({ formatVersion: 1, given: ['state', 'listener'] });
      expect(plan.lanes.inside.at(-1)).toMatchObject({ kind: 'exec', field: 'process.args' });
    }));

  it('compares two bundles as steps', () =>
    inWorld('plandiff', async (world) => {
      const a = bundle(world, 'a');
      const b = bundle(world, 'b', { hostname: 'crate' });
      const { stdout } = await world.tare(['plan', '--diff', a, b]);
      expect(stdout).toMatch(/^-sethostname\("box"\)/m);
      expect(stdout).toMatch(/^\+sethostname\("crate"\)/m);
      expect((await world.tare(['plan', '--diff', a, a])).stdout).toBe('the plans are the same\n');
    }));

  it('compiles for a poorer kernel', () =>
    inWorld('planpoor', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const plan = (...words: string[]) => world.tare(['plan', '--rootfs', rootfs, ...words, '--', '/bin/sh']);
      expect((await plan()).stdout).toContain('mount_setattr(');
      const poorer = await plan('--features-without', 'mountSetattr');
      expect(poorer.stdout).not.toContain('mount_setattr(');
      expect(poorer.stdout).toMatch(/mount\("none", "\/proc\/self\/fd\/900"/);
      expect((await plan('--features-without', 'flying')).stderr).toMatch(/^tare: there is no feature "flying"/);
    }));
});

/** What is shown while it waits for the first key. */
const FIRST = 'outside   1';

describe('tare step', () => {
  it('shows after each step what changed in the kernel’s view', () =>
    inWorld('step', async (world) => {
      const { stdout, stderr, status } = await world.tare(['step', '--auto', '--bundle', bundle(world, 'b')]);
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
      const following = (call: string) => stdout.slice(stdout.indexOf(call)).split(/^(?:inside|outside) /m)[0];
      expect(following('clone(inside')).toMatch(/~ pid namespace: \d+ -> \d+/);
      expect(following('pivot_root(')).toMatch(/root directory/);
      expect(following('PR_SET_NO_NEW_PRIVS')).toMatch(/~ no_new_privs: off -> on/);
      expect(following('capset(')).toMatch(/- effective capabilities lost: all/);
      expect(stdout).toMatch(/\+ mounted proc proc at .*\/rootfs\/proc/);
      expect(stdout).toMatch(/^done$/m);
    }));

  it('in a terminal waits for a key, goes to a step, and stops', () =>
    inWorld('stepkeys', async (world) => {
      const b = bundle(world, 'b');
      const step = (keys: string) =>
        world.run(['script', '-qec', `tare step --bundle ${b}`, '/dev/null'], { stdin: keys });
      const stopped = await step('  \rq');
      expect(stopped.stdout).toMatch(/stopped; everything is undone/);
      expect(stopped.status).toBe(125);
      const through = await step('b12\rc');
      expect(through.stdout).toMatch(/done\r?\n/);
      expect(through.status).toBe(0);
    }));

  it('in a terminal passes on what is typed once the container has its own', () =>
    inWorld('steptty', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const { shown, status } = await typing(world, `tare step --rootfs ${rootfs} -it -- /bin/sh`, [
        [FIRST, 'c'],
        ['/ # ', 'echo $((6 * 7)); exit 5\n'],
      ]);
      expect(shown).toMatch(/\n42\r\n/);
      expect(status).toBe(5);
    }));

  it('goes on to no step that is past, or that there is not', () =>
    inWorld('stepto', async (world) => {
      const { shown } = await typing(world, `tare step --bundle ${bundle(world, 'b')}`, [
        [FIRST, 'b4\r'],
        ['\x1b[2minside    4', 'b2\r'],
        ['step 2 is past', 'b4\r'],
        ['step 4 is the next', 'b9999\r'],
        ['the inside lane has the steps 1 to', 'b\r'],
        ['the inside lane has the steps 1 to', '\x03'],
      ]);
      expect(shown.split('\n').at(-2)).toBe('tare: stopped; everything is undone\r');
    }));

  it.each([
    ['while it waits for a key', '', FIRST],
    ['while the container runs', '--auto', '/ # '],
  ])('leaves nothing when its terminal is closed %s', (_, option, shown) =>
    inWorld('stephup', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      await typing(world, `tare step ${option} --rootfs ${rootfs} -it -- /bin/sh`, [[shown, CLOSE]]);
      // The leak check of the world waits for what is being undone, and fails for what stays.
    }),
  );

  it('leaves nothing when it is ended by a signal', () =>
    inWorld('stepterm', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const { shown, status } = await typing(world, `exec tare step --rootfs ${rootfs} -- /bin/true`, [
        [FIRST, (pids) => world.run(['kill', `${pids.command}`])],
      ]);
      expect(shown).toMatch(/\ntare: stopped; everything is undone\r\n$/);
      expect(status).toBe(125);
    }));

  it('leaves nothing when the plan fails half-way', () =>
    inWorld('stepfails', async (world) => {
      const b = bundle(world, 'b', { mounts: [{ destination: '/x', type: 'nosuchfs' }] });
      const { stdout, stderr, status } = await world.tare(['step', '--auto', '--bundle', b]);
      expect(status).toBe(125);
      expect(stderr).toMatch(/^tare: fsopen\("nosuchfs"[^\n]*ENODEV[^\n]*\n$/);
      expect(stdout).toMatch(/sethostname/);
      expect(readFileSync(join(b, 'config.json'), 'utf8')).toContain('nosuchfs');
    }));
});
