/** `tare run IMAGE` and the other commands that make a container of an image, as the command line has them. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStore } from '../../runtime/image/store/index.js';
import { busyboxImage, makeLayer, putImage } from '../harness/images.js';
import { until } from '../harness/until.js';
import { makeWorld, type World } from '../harness/world.js';
import type { Contents } from '../harness/world-contents.js';

let world: World;
let before: Contents;

/** One that has the images `busybox` and `app`, unpacked. */
beforeAll(async () => {
  world = await makeWorld('image-run');
  chmodSync(world.folder, 0o711);
  using store = await ImageStore.open(join(world.folder, 'root/images'));
  await putImage(store, busyboxImage(), 'busybox');
  const layer = makeLayer([
    { path: 'srv/', uid: 1000, gid: 1000 },
    { path: 'srv/file', content: 'x\n' },
  ]);
  const config = {
    Entrypoint: ['echo', 'says'],
    Cmd: ['nothing'],
    WorkingDir: '/srv',
    Volumes: { '/srv': {} },
    User: 'user',
  };
  await putImage(store, busyboxImage({ config }, [layer]), 'localhost/app:1');
  for (const image of ['busybox', 'localhost/app:1']) await world.tare(['run', image]);
  before = world.contents();
});
afterAll(() => world.close());

const folders = () => readdirSync(join(world.folder, 'root/containers'));

/** As its state file says. */
function stateOf(id: string): string | undefined {
  const path = join(world.folder, 'state', id, 'state.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { status: string }).status : undefined;
}

describe('a container of an image', () => {
  it('is run, and nothing of it is left', async () => {
    const said = await world.tare(['run', 'localhost/app:1', 'a', '-b', '--', 'c']);
    expect(said).toEqual({ status: 0, stdout: 'says a -b -- c\n', stderr: '' });
    expect((await world.tare(['run', 'localhost/app:1'])).stdout).toBe('says nothing\n');
    const script = 'id -un; pwd; cat file; touch own; echo "$A $B $C"; env | grep NONE; exit 7';
    writeFileSync(join(world.folder, 'vars'), '# comment\nA=one two\nB="q"\nC=overridden\nNONE\n');
    const options = ['--env-file', join(world.folder, 'vars'), '-e', 'C=last', '-e', 'NONE', '--entrypoint', 'sh'];
    const ran = await world.tare(['run', ...options, 'localhost/app:1', '-c', script]);
    expect(ran).toEqual({ status: 7, stdout: 'user\n/srv\nx\none two "q" last\n', stderr: '' });
    const mapped = await world.tare([
      'run',
      '--userns',
      '300000',
      '-u',
      'root',
      '--entrypoint',
      'sh',
      'localhost/app:1',
      '-c',
      'id -u; stat -c %u file; touch own /x; stat -c %u own',
    ]);
    expect(mapped).toEqual({ status: 0, stdout: '0\n0\n0\n', stderr: '' });
    expect(await world.leaks(before)).toEqual([]);
    expect(folders()).toEqual([]);
  });

  it('is shown as a plan, the same each time, and stepped through', async () => {
    const one = await world.tare(['plan', 'localhost/app:1']);
    expect(one.stderr).toBe('');
    expect(one.stdout).toContain('layer 2 of 2: only read, and shared');
    expect((await world.tare(['plan', 'localhost/app:1'])).stdout).toBe(one.stdout);
    const mapped = await world.tare(['plan', '--userns', '300000', 'busybox']);
    expect(mapped.stdout).toContain('the image’s ids are the container’s');
    const old = await world.tare(['plan', '--features-without', 'overlayLayers', 'busybox']);
    expect(old.stdout).toContain('named in one string (before Linux 6.8)');
    const stepped = await world.tare(['step', '--auto', 'busybox', 'echo', 'stepped']);
    expect(stepped.stdout).toContain('stepped\n');
    expect(stepped.stdout).toMatch(/move_mount\(rootfs.*\n.*attached over an empty folder/);
    expect(await world.leaks(before)).toEqual([]);
  });

  it('is entered by exec, as the image knows its users', async () => {
    const running = world.tare(['run', '--name', 'one', '--userns', '300000', 'busybox', 'sleep', '1000']);
    await until(() => stateOf('one') === 'running');
    const ran = await world.tare(['exec', '-u', 'user', 'one', '--', 'sh', '-c', 'id; echo $HOME; touch /tmp/of-exec']);
    expect(ran.stdout).toContain('uid=1000(user) gid=1000(user)');
    expect(ran.stdout).toContain('/home/user\n');
    const [folder = ''] = folders();
    expect(existsSync(join(world.folder, 'root/containers', folder, 'upper/tmp/of-exec'))).toBe(true);
    const tar = join(world.folder, 'tmp/one.tar');
    expect(await world.tare(['export', '--pause', '-o', tar, 'one'])).toEqual({ status: 0, stdout: '', stderr: '' });
    const listed = (await world.run(['tar', '--numeric-owner', '-tvf', tar])).stdout;
    expect(listed).toMatch(/^-rw-r--r-- 1000\/1000 +0 .* tmp\/of-exec$/m);
    expect(listed).toMatch(/^-rwxr-xr-x 0\/0 .* bin\/busybox$/m);
    expect(listed).not.toMatch(/ (proc|dev|sys)\/./);
    rmSync(tar);
    expect((await world.tare(['delete', '--force', 'one'])).status).toBe(0);
    expect((await running).status).toBe(137);
    expect(folders()).toEqual([]);
  });

  it('is as the options of docker run say', async () => {
    const script = `df -k /x /dev/shm | grep -o '^[a-z]* *1024'; cat /name; ulimit -n; id -G; cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj
      grep -E 'CapBnd|CapEff|Seccomp:|NoNewPrivs' /proc/self/status; stat -c %t:%T /dev/zero2; head -c 1 /dev/zero2 | wc -c; echo x > /name`;
    const name = join(world.folder, 'tmp/name');
    writeFileSync(name, 'a file\n');
    const options = [
      ...['--tmpfs', '/x:size=1m', '--shm-size', '1m', '--mount', `type=bind,src=${name},dst=/name,readonly`],
      ...['--ulimit', 'nofile=100:200', '--group-add', '77', '--sysctl', 'net.ipv4.ip_forward=1', '-l', 'a=b'],
      ...[
        '--oom-score-adj',
        '500',
        '--cap-drop',
        'all',
        '--cap-add',
        'net_admin',
        '--device',
        '/dev/zero:/dev/zero2:r',
      ],
      ...['--security-opt', 'seccomp=unconfined', '--security-opt', 'no-new-privileges=false', '-m', '64m'],
    ];
    const ran = await world.tare(['run', ...options, 'busybox', 'sh', '-c', script]);
    expect(ran.stdout.replace(/\t/g, '')).toBe(
      [
        ...['tmpfs                     1024', 'shm                       1024', 'a file', '100', '0 77', '1', '500'],
        ...['CapEff:0000000000001000', 'CapBnd:0000000000001000', 'NoNewPrivs:0', 'Seccomp:0', '1:5', '1', ''],
      ].join('\n'),
    );
    rmSync(name);
    expect(ran.stderr).toContain("can't create /name: Read-only file system");
    const dropped = await world.tare([
      'run',
      '--cap-add',
      'ALL',
      '--cap-drop',
      'sys_admin',
      'busybox',
      'grep',
      'CapBnd',
      '/proc/self/status',
    ]);
    expect((Number.parseInt(dropped.stdout.slice(8, 16 + 8), 16) >>> 21) & 1).toBe(0);
    expect(dropped.stdout).not.toContain('00000000a80425fb');
    // The world's network, which has the loopback only, with a setting of its own.
    await world.run(['sysctl', '-q', '-w', 'net.ipv4.ip_default_ttl=77']);
    const ttl = ['cat', '/proc/sys/net/ipv4/ip_default_ttl'];
    for (const more of [[], ['--userns', '300000']]) {
      expect((await world.tare(['run', ...more, '--network', 'host', 'busybox', ...ttl])).stdout).toBe('77\n');
      expect((await world.tare(['run', ...more, '--network', 'none', 'busybox', ...ttl])).stdout).toBe('64\n');
    }
    expect(await world.leaks(before)).toEqual([]);
  });

  it('is stopped: asked first, and killed where it does not listen', async () => {
    const script = 'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
    const polite = world.tare(['run', '--name', 'polite', 'busybox', 'sh', '-c', script]);
    const deaf = world.tare(['run', '--name', 'deaf', 'busybox', 'sh', '-c', 'trap "" TERM; sleep 1000']);
    await until(() => stateOf('polite') === 'running' && stateOf('deaf') === 'running');
    expect((await world.tare(['stop', '--time', 'x', 'deaf'])).stderr).toMatch(/--time x: must be a number of seconds/);
    expect(await world.tare(['stop', '--time', '600', '-s', 'KILL', 'deaf'])).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect((await deaf).status).toBe(137);
    expect((await world.tare(['stop', '--time', '0', 'polite'])).status).toBe(0);
    expect([3, 137]).toContain((await polite).status);
    const again = world.tare(['run', '--name', 'again', 'busybox', 'sh', '-c', script]);
    await until(() => stateOf('again') === 'running');
    expect((await world.tare(['stop', 'again'])).status).toBe(0);
    await again;
    expect((await world.tare(['stop', 'again'])).stderr).toMatch(/there is no container|does not exist/);
  });

  it.each<[string, string[], RegExp]>([
    ['what needs a daemon', ['-d', 'busybox'], /^tare: --detach: a container of Tare ends with its terminal/],
    ['a port', ['-p', '80:80', 'busybox'], /^tare: --publish: Tare has no network but/],
    ['another network', ['--network', 'bridge', 'busybox'], /^tare: --network bridge: Tare has no network but/],
    [
      'a volume by name',
      ['-v', 'data:/x', 'busybox'],
      /there is no data here, and Tare keeps no volumes by name: .* \.\/data/,
    ],
    ['a volume in words', ['--mount', 'type=volume,dst=/x', 'busybox'], /Tare keeps no volumes by name: say type=bind/],
    ['a mount of nothing', ['--mount', 'type=bind,dst=/x', 'busybox'], /it needs a source/],
    ['a mount with an unknown word', ['--mount', 'typ=bind', 'busybox'], /there is no "typ"; there are type, source/],
    ['a tmpfs nowhere', ['--tmpfs', 'x', 'busybox'], /--tmpfs x: must be \/PATH/],
    ['all privileges', ['--privileged', 'busybox'], /--privileged: say what it needs: --cap-add ALL/],
    ['a capability that is none', ['--cap-add', 'FLY', 'busybox'], /"FLY" is no capability/],
    ['a limit that is none', ['--ulimit', 'wings=1', 'busybox'], /--ulimit wings=1: must be NAME=SOFT/],
    ['a device that is none', ['--device', '/etc/passwd', 'busybox'], /\/etc\/passwd is no device/],
    ['a setting without a value', ['--sysctl', 'net.x', 'busybox'], /--sysctl net.x: must be name=value/],
    ['a profile', ['--security-opt', 'seccomp=x.json', 'busybox'], /must be seccomp=unconfined or no-new-privileges/],
    ['a group by name', ['--group-add', 'audio', 'busybox'], /--group-add audio: must be a number from 0/],
    ['an image that is not there', ['--pull', 'never', 'localhost/none'], /there is no image "localhost\/none" here/],
    [
      'a word that --pull does not know',
      ['--pull', 'often', 'busybox'],
      /--pull often: must be one of always, missing, never/,
    ],
    ['a name that is none', ['UPPER'], /"UPPER" is no name of an image: .* must be lower case/],
    ['a user that the image does not have', ['-u', 'who', 'busybox'], /has no user "who"/],
    ['a user of text', ['-u', '4294967296', 'busybox'], /an id is a number from 0 to/],
    ['users that are none', ['--userns', '0', 'busybox'], /--userns 0: must be FIRST\[:SIZE\]/],
    [
      'an option of images for a folder',
      ['--entrypoint', 'x', '--rootfs', '/'],
      /--entrypoint goes with an image only/,
    ],
    ['a program that is not there', ['busybox', 'nothing-there'], /nothing-there/],
    ['a name for two', ['--name', '../x', 'busybox'], /id/],
    ['a file of variables that is not there', ['--env-file', '/none', 'busybox'], /--env-file \/none cannot be read/],
  ])('is refused in a sentence: %s', async (_, words, sentence) => {
    // By its first line: Node, when it is given the program's name, takes an --env-file for itself.
    const ran = await world.run(['tare', 'run', ...words]);
    expect(ran.stderr).toMatch(sentence);
    expect(ran.stderr.trim().split('\n')).toHaveLength(1);
    expect(ran.status).toBeGreaterThanOrEqual(125);
    expect(await world.leaks(before)).toEqual([]);
  });

  it.each([
    ['SIGUSR1', 'USR1'],
    ['nonsense', 'TERM'],
  ])('whose image has STOPSIGNAL %s is asked to end by %s', async (StopSignal, asked) => {
    using store = await ImageStore.open(join(world.folder, 'root/images'));
    const script = 'for s in TERM USR1 INT; do trap "echo $s; exit" $s; done; echo ready; while :; do sleep 0.05; done';
    await putImage(store, busyboxImage({ config: { StopSignal, Cmd: ['sh', '-c', script] } }), 'stopped');
    const child = world.start(['tare', 'run', '--name', 'stopped', 'stopped']);
    let said = '';
    child.stdout?.on('data', (data) => {
      said += data;
    });
    // Waited for from now on: it may have ended before the command that asks it to has.
    const ended = new Promise((resolve) => child.once('close', resolve));
    await until(() => said.includes('ready'));
    expect((await world.tare(['kill', 'stopped'])).stderr).toBe('');
    await ended;
    expect(said).toBe(`ready\n${asked}\n`);
    expect((await world.tare(['rmi', 'stopped'])).status).toBe(0);
  });

  it('leaves nothing that gc does not remove when it is killed at any moment', async () => {
    for (let i = 0; i < 12; i++) {
      const mapped = i % 2 === 0 ? ['--userns', '300000'] : [];
      const child = world.start(
        ['sh', '-c', 'echo $$; exec tare run "$@"', 'sh', '--name', `k${i}`, ...mapped, 'localhost/app:1'],
        {
          env: { A: String(i) },
        },
      );
      const pid = await new Promise<string>((resolve) =>
        child.stdout?.once('data', (data) => resolve(String(data).trim())),
      );
      await sleep(60 + i * 25);
      await world.run(['kill', '-9', pid]);
      await new Promise((resolve) =>
        child.exitCode === null && child.signalCode === null ? child.once('exit', resolve) : resolve(0),
      );
    }
    await world.tare(['gc']);
    await world.tare(['image', 'prune']);
    expect(await world.leaks(before)).toEqual([]);
    expect(folders()).toEqual([]);
    expect((await world.tare(['image', 'verify'])).status).toBe(0);
    expect((await world.tare(['run', 'localhost/app:1'])).stdout).toBe('says nothing\n');
  });

  it('whose state went with a reboot has its folder removed by gc', async () => {
    const left = join(world.folder, 'root/containers/one.1234');
    mkdirSync(join(left, 'upper/a/b'), { recursive: true });
    writeFileSync(join(left, 'owner'), join(world.folder, 'state/one'));
    expect((await world.tare(['gc'])).stdout).toBe('removed 1 folder of containers\n');
    expect(folders()).toEqual([]);
    expect(readFileSync(join(world.folder, 'root/images/index.json'), 'utf8')).toContain('busybox');
  });
});
