/** `tare plan` and `tare step`: the container as a program, printed, compared, and run one step at a time. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeRootfs } from '../harness/rootfs.js';
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
