/** `tare exec`, `pause` and `resume`; and exec of who is not root. What `tare-oci exec` has in common with runc's is in test/conformance. */
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { probeFeatures } from '../../runtime/kernel/features.js';
import { publicCopy } from '../harness/public-copy.js';
import { makeRootfs } from '../harness/rootfs.js';
import { typing } from '../harness/typing.js';
import { inWorld, type World } from '../harness/world.js';

/** A container that runs until `stop` of its root is there. */
async function start(
  world: World,
  argv: readonly string[] = ['tare'],
  env = {},
): Promise<{ rootfs: string; end(): Promise<void> }> {
  const rootfs = join(world.folder, 'rootfs');
  const child = world.start(
    [
      ...argv,
      'run',
      '--name',
      'web',
      '--rootfs',
      rootfs,
      '--',
      'sh',
      '-c',
      'echo up; until [ -e /stop ]; do sleep 0.05; done',
    ],
    { env },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('close', () => reject(new Error('it did not start')));
  });
  return {
    rootfs,
    end: async () => {
      writeFileSync(join(rootfs, 'stop'), '');
      await ended;
    },
  };
}

describe('tare exec', () => {
  it('runs a command in the container, with our streams, and ends as it ends', () =>
    inWorld('exec', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0::/root:\nweb:x:33:34::/srv:\n');
      const { end } = await start(world);
      const ran = await world.tare(['exec', 'web', '--', 'sh', '-c', 'cat; echo err >&2; hostname; exit 9'], {
        stdin: 'in\n',
      });
      expect(ran).toMatchObject({ status: 9, stderr: 'err\n' });
      expect(ran.stdout).toMatch(/^in\n.+\n$/);
      const as = await world.tare([
        'exec',
        '-u',
        'web',
        '-w',
        '/tmp',
        '-e',
        'A=b',
        'web',
        'sh',
        '-c',
        'id -u; id -g; pwd; echo $A',
      ]);
      expect(as).toEqual({ status: 0, stdout: '33\n34\n/tmp\nb\n', stderr: '' });
      await end();
    }));

  it('says in one sentence what cannot be', () =>
    inWorld('execno', async (world) => {
      makeRootfs(join(world.folder, 'rootfs'));
      const { end } = await start(world);
      const refusals: [string[], number, RegExp][] = [
        [['exec', 'nosuch', 'true'], 125, /there is no container nosuch/],
        [['exec', 'web'], 125, /missing required argument/],
        [['exec', 'web', 'nosuch'], 127, /"nosuch": command not found/],
        [['exec', 'web', '/etc/passwd'], 126, /passwd": .*(cannot be executed|permission)/i],
        [['exec', '-w', 'relative', 'web', 'true'], 125, /cwd must be an absolute path/],
        [['exec', '-u', 'nobody', 'web', 'true'], 125, /has no user "nobody"/],
        [['exec', '-e', 'novalue', 'web', 'true'], 125, /env.*NAME=value/],
      ];
      for (const [args, status, words] of refusals) {
        const ran = await world.tare(args);
        expect(ran.stderr, args.join(' ')).toMatch(words);
        expect(ran.stderr).toMatch(/^tare: [^\n]*\n$/);
        expect(ran.status).toBe(status);
      }
      await end();
    }));

  it('gives it a terminal of the size of ours', () =>
    inWorld('exectty', async (world) => {
      makeRootfs(join(world.folder, 'rootfs'));
      const { end } = await start(world);
      // It ends when its words have come: what is still in a terminal when its session leader ends is dropped by the kernel (tty_vhangup).
      const inside = `tty; stty size; read x; echo got $x; read y`;
      const words = `stty rows 33 cols 77; exec tare exec -it web -- sh -c '${inside}'`;
      const { shown } = await typing(world, words, [
        ['33 77', 'typed\n'],
        ['got typed', '\n'],
      ]);
      expect(shown.replaceAll('\r', '')).toMatch(/\/dev\/pts\/\d+\n33 77\n[\s\S]*got typed\n/);
      await end();
    }));
});

it('tare pause stops a container where it is, and tare resume lets it go on', () =>
  inWorld('pause', async (world) => {
    makeRootfs(join(world.folder, 'rootfs'));
    const { end } = await start(world);
    expect(await world.tare(['pause', 'web'])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect((await world.tare(['ps'])).stdout).toMatch(/^web +\d+ +paused/m);
    expect((await world.tare(['exec', 'web', 'true'])).stderr).toMatch(/cannot exec in a paused container/);
    expect((await world.tare(['pause', 'web'])).stderr).toMatch(/^tare: the container web is paused/);
    expect((await world.tare(['resume', 'web'])).status).toBe(0);
    expect((await world.tare(['resume', 'web'])).stderr).toMatch(/^tare: the container web is running/);
    await end();
  }));

describe('exec of tare-oci', () => {
  it('hands on no descriptor of its own where the caller has opened none', () =>
    inWorld('execfds', async (world) => {
      makeRootfs(join(world.folder, 'rootfs'));
      const { end } = await start(world);
      const script = `tare-oci --root "$TARE_STATE" exec --preserve-fds 1 web ls -l /proc/self/fd 3<&-`;
      expect(await world.run(['sh', '-c', script])).toEqual({
        status: 255,
        stdout: '',
        stderr: 'tare-oci: --preserve-fds 1: descriptor 3 is not open\n',
      });
      await end();
    }));

  it('ends with 255 and says in the log what engines look for', () =>
    inWorld('execlog', async (world) => {
      makeRootfs(join(world.folder, 'rootfs'));
      const { end } = await start(world);
      const log = join(world.folder, 'log.json');
      const oci = (...words: string[]) =>
        world.run([
          'tare-oci',
          '--root',
          world.env.TARE_STATE ?? '',
          '--log',
          log,
          '--log-format',
          'json',
          'exec',
          ...words,
        ]);
      expect((await oci('web', 'nosuch')).status).toBe(255);
      expect((await oci('web', '/etc/passwd')).status).toBe(255);
      expect((await oci('--cwd', '/nosuch', 'web', 'true')).status).toBe(255);
      const lines = readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { level: string; msg: string });
      expect(lines.map(({ level }) => level)).toEqual(['error', 'error', 'error']);
      expect(lines[0]?.msg).toContain('exec: "nosuch": executable file not found in $PATH');
      expect(lines[1]?.msg).toContain('exec: "/etc/passwd": permission denied');
      expect(lines[2]?.msg).toContain('process.cwd');
      await end();
    }));

  it('has a ps that takes the options of ps, and shows what is in the container and nothing else', () =>
    inWorld('execps', async (world) => {
      makeRootfs(join(world.folder, 'rootfs'));
      const { end } = await start(world);
      const ps = (...words: string[]) => world.run(['tare-oci', '--root', world.env.TARE_STATE ?? '', 'ps', ...words]);
      const plain = await ps('web');
      expect(plain.stdout).toMatch(/^UID +PID +PPID +C +STIME +TTY +TIME +CMD\n/);
      const chosen = await ps('web', '-eo', 'pid,args');
      expect(chosen.stdout).toMatch(/^ +PID COMMAND\n +\d+ sh -c .*\/stop.*\n( +\d+ sleep 0\.05\n)?$/);
      expect((await ps('web', '-eo', 'args')).stderr).toMatch(/couldn't find PID field/);
      expect((await ps('web', '--nonsense')).stderr).toMatch(/^tare-oci: ps --nonsense: [^\n]+\n$/);
      expect((await ps('--format', 'odd', 'web')).status).toBe(1);
      await end();
    }));

  it('is killed with the container, and so is what it has started', () =>
    inWorld('execgone', async (world) => {
      makeRootfs(join(world.folder, 'rootfs'));
      const { end } = await start(world);
      const oci = ['tare-oci', '--root', world.env.TARE_STATE ?? ''];
      const child = world.start([...oci, 'exec', 'web', 'sh', '-c', 'sleep 1000 & echo up; exec sleep 1000']);
      const ended = new Promise((resolve) => child.once('close', resolve));
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      const pids = JSON.parse((await world.run([...oci, 'ps', '--format', 'json', 'web'])).stdout) as number[];
      expect(pids.length).toBeGreaterThanOrEqual(3);
      await end();
      expect(await ended).toBe(137);
    }));
});

describe('who is not root', () => {
  const UID = 65534;
  const copy = publicCopy();
  afterAll(() => copy[Symbol.dispose]());
  beforeEach((context) => {
    if (!probeFeatures().userNamespaces) context.skip('this machine lets nobody make a user namespace');
  });

  it('runs another command in a container of theirs, and nobody else’s', () =>
    inWorld('execuser', async (world) => {
      chmodSync(world.folder, 0o755);
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const state = join(world.folder, 'user-state');
      mkdirSync(state, { mode: 0o700 });
      for (const path of [rootfs, state]) chownSync(path, UID, UID);
      const asUser = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', process.execPath, copy.tare];
      const env = { TARE_STATE: state, HOME: '/nonexistent' };
      const { end } = await start(world, asUser, env);
      const inside =
        "id -u; cat /proc/self/uid_map | tr -s ' '; echo $HOME; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | tr '\\t' ' '";
      const ran = await world.run([...asUser, 'exec', 'web', '--', 'sh', '-c', inside], { env });
      expect(ran.stderr).toBe('');
      expect(ran.stdout.split('\n').map((line) => line.trim())).toEqual([
        '0',
        `0 ${UID} 1`,
        '/root',
        'CapEff: 00000000a80425fb',
        'NoNewPrivs: 1',
        'Seccomp: 2',
        '',
      ]);
      await end();
    }));
});
