/** save, load, import, history and bootstrap on the command line: pipes, files, terminals, exit codes, and what an interrupted one leaves. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerArchive, makeImage, makeLayer } from '../../harness/images.js';
import { tarOf } from '../../harness/tar.js';
import { until } from '../../harness/until.js';
import { makeWorld, type World } from '../../harness/world.js';

const image = makeImage([makeLayer([{ path: 'a', content: 'A'.repeat(50_000) }])], {
  more: {
    created: new Date(Date.now() - 3 * 24 * 3600 * 1000).toISOString(),
    history: [
      {
        created_by: 'ADD \u001b[31mred',
        created: new Date(Date.now() - 3 * 24 * 3600 * 1000).toISOString(),
        comment: 'why',
      },
      { created_by: `ENV ${'A'.repeat(100)}`, empty_layer: true },
    ],
  },
});

describe('archives on the command line', () => {
  let world: World;
  const path = (name: string) => join(world.folder, name);
  const ok = async (...args: string[]) => {
    const { status, stdout, stderr } = await world.tare(args);
    if (status !== 0) throw new Error(`tare ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const shell = (script: string) => world.run(['bash', '-c', `set -o pipefail; cd ${world.folder}; ${script}`]);

  beforeAll(async () => {
    world = await makeWorld('archives');
    writeFileSync(path('box.tar'), dockerArchive([{ name: 'box:1', image }]));
    expect(await ok('load', '--quiet', '--input', path('box.tar'))).toBe('Loaded image: box:1\n');
  });
  afterAll(() => world?.close());

  it('through pipes and files, in both formats, and as a folder', async () => {
    const piped = await shell(
      'tare save -q box:1 | gzip | tare load -q && tare save -q --format oci box:1 | zstd | tare load -q --name other:2',
    );
    expect(piped).toMatchObject({ status: 0, stdout: 'Loaded image: box:1\nLoaded image: other:2\n' });
    await ok('save', '-o', path('saved.tar'), 'box:1', 'other:2');
    expect(await ok('load', '-i', path('saved.tar'))).toBe('Loaded image: box:1\nLoaded image: other:2\n');
    await ok('save', '--format', 'oci-dir', '-o', path('layout'), 'box:1');
    expect(await ok('image', 'load', '-i', path('layout'))).toBe('Loaded image: box:1\n');
    expect(await world.tare(['save', '--format', 'oci-dir', '-o', path('layout'), 'box:1'])).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('is there already'),
    });
  });

  it.each(['docker', 'oci'])('a reader that has gone wants no more of a %s archive', async (format) => {
    const script = `tare save -q --format ${format} box:1 2>said | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"; cat said`;
    // Closed before anything is written: so the first write fails, whatever the pipe holds.
    const closed = `(sleep 0.3; exec tare save -q --format ${format} box:1 2>said) | exec <&-; echo "\${PIPESTATUS[0]}"; cat said`;
    for (const one of [script, closed])
      expect(await shell(one)).toMatchObject({ status: 0, stdout: '0\n', stderr: '' });
  });

  it('standard input may be a file, or nothing', async () => {
    expect(await shell('tare load -q < box.tar')).toMatchObject({ status: 0, stdout: 'Loaded image: box:1\n' });
    for (const nothing of ['tare load < /dev/null', 'true | tare load'])
      expect(await shell(nothing)).toMatchObject({
        status: 125,
        stderr: expect.stringContaining('the input is empty'),
      });
  });

  it('shows a line for each layer where there is no terminal', async () => {
    const { stderr } = await world.tare(['load', '-i', path('box.tar')]);
    expect(stderr).toMatch(/^[0-9a-f]{12}: .*\n/);
  });

  it('not from or to a terminal', async () => {
    const onTerminal = (command: string) => world.run(['script', '-qec', command, '/dev/null']);
    for (const command of ['tare save box:1', 'tare load', 'tare import -'])
      expect(await onTerminal(command)).toMatchObject({
        status: 125,
        stdout: expect.stringMatching(/terminal: give --|from a terminal/),
      });
  });

  it.each([
    [['save', 'no-such'], 'there is no image'],
    [['save', '--format', 'zip', 'box:1'], '--format zip'],
    [['save', '--format', 'oci-dir', 'box:1'], 'give --output'],
    [['save', '-o', '/no/such/folder/x.tar', 'box:1'], '/no/such/folder'],
    [['load', '-i', '/no/such/file'], 'there is no /no/such/file'],
    [['load', '-i', '/etc/passwd'], 'no tar archive'],
    [['load', '-i', '/etc'], 'no OCI image layout'],
    [['load', '-i', '/dev/null'], 'empty'],
    [['import', '/etc/passwd'], 'no tar archive'],
    [['import', '/etc'], '/etc is a folder, no archive'],
    [['import', '--change', 'RUN true', '/dev/null'], 'changes files'],
    [['import', '--change', 'NONSENSE', '/dev/null'], '--change'],
    [['image', 'bootstrap', 'plan9'], 'busybox and debian'],
    [['image', 'bootstrap', 'busybox', '--suite', 'trixie'], '--suite'],
    [['history', 'no-such'], 'there is no image'],
  ])('says what is wrong: %j', async (args, why) => {
    const { status, stderr, stdout } = await world.tare(args);
    expect([status, stdout]).toEqual([125, '']);
    expect(stderr.split('\n')[0]).toContain(why);
    expect(stderr).not.toContain('internal error');
  });

  it('a full disk leaves no file; a reader that goes is no failure', async () => {
    const full = await shell(
      'mkdir small && mount -t tmpfs -o size=16k tmpfs small && tare save -q -o small/x.tar box:1; echo $?; ls -A small; umount small',
    );
    expect(full).toMatchObject({ stdout: '125\n', stderr: expect.stringContaining('the disk is full') });
    const gone = await shell('tare save -q --format oci box:1 | (exec <&-; sleep 2); echo $PIPESTATUS');
    expect(gone).toMatchObject({ stdout: '0\n', stderr: '' });
  });

  it('Ctrl-C leaves nothing half-made', async () => {
    const before = readdirSync(world.folder).sort();
    const child = world.start(['tare', 'load', '-q'], { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    child.stderr?.on('data', (text) => {
      said += text;
    });
    child.stdin?.write(
      tarOf([{ path: 'l.tar', content: tarOf([{ path: 'x', content: Buffer.alloc(1 << 20) }]) }]).subarray(0, 1 << 19),
    );
    const ingest = join(world.folder, 'root/images/ingest');
    await until(() => existsSync(ingest) && readdirSync(ingest).length > 0);
    // It has read all that there is, and waits for more.
    await until(() => child.stdin?.writableLength === 0);
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    spawn('kill', ['-INT', String(childOf(child.pid as number))]);
    expect([await ended, said]).toEqual([130, '']);
    expect(readdirSync(ingest)).toEqual([]);
    expect(readdirSync(world.folder).sort()).toEqual(before);
  });

  it('import makes what its options say', async () => {
    mkdirSync(path('rootfs/etc'), { recursive: true });
    writeFileSync(path('rootfs/etc/os-release'), 'NAME=mine\n');
    const { status, stdout } = await shell(
      `tar -C rootfs -c . | tare import -q -c 'CMD ["sh"]' -c 'ENV A="b c"' -m 'by hand' - localhost/mine:1`,
    );
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/)]);
    expect(await ok('image', 'inspect', '--json', 'localhost/mine:1')).toContain('A=b c');
    expect(await ok('history', 'localhost/mine:1')).toContain('by hand');
  });

  it('history has a line for each step, the latest first, and no escapes of an image', async () => {
    const table = (await ok('history', 'box:1')).split('\n');
    expect(table[0]).toMatch(/^LAYER +CREATED +CREATED BY +SIZE +COMMENT$/);
    expect(table[1]).toMatch(/^- +unknown +ENV A+… +0 B/);
    expect(table[2]).toMatch(/^[0-9a-f]{12} +3 days ago +ADD \\x1b\[31mred +\S+ kB +why$/);
    expect(await ok('history', '--no-trunc', 'box:1')).toContain('A'.repeat(100));
    const steps = JSON.parse(await ok('history', '--format', 'json', 'box:1'));
    expect(steps).toMatchObject([
      { emptyLayer: true, layer: null, size: 0 },
      { layer: expect.stringMatching(/^sha256:/), comment: 'why' },
    ]);
    expect(await ok('history', '-q', '--no-trunc', 'box:1')).toBe(`${steps[1].layer}\n`);
  });

  it('bootstraps busybox once, and a container of it runs', async () => {
    expect(await ok('image', 'bootstrap', 'busybox')).toMatch(/^localhost\/busybox:latest: sha256:/);
    expect(await ok('image', 'bootstrap', 'busybox')).toContain('is there already');
    expect(await ok('run', 'localhost/busybox', 'sh', '-c', 'echo hello; id -un; pwd')).toBe('hello\nroot\n/\n');
    // A bare name is Docker's, unless only one of our own is here.
    expect(await world.tare(['run', 'busybox', 'echo', 'hi'])).toEqual({
      status: 0,
      stdout: 'hi\n',
      stderr: 'tare: busybox is not here: this is localhost/busybox:latest (--pull always asks the registry)\n',
    });
    // This world has no network.
    for (const words of [['--pull', 'always', 'busybox'], ['busybox:2'], ['library/busybox']]) {
      const { status, stderr } = await world.tare(['run', ...words, 'true']);
      expect([status, stderr]).toEqual([
        125,
        expect.stringContaining('(did you mean "localhost/busybox:latest", which is here?)'),
      ]);
    }
    expect((await world.tare(['run', 'debian', 'true'])).stderr).toContain(
      '("tare image bootstrap debian" makes localhost/debian from Debian packages)',
    );
    expect(statSync(join(world.folder, 'root/images')).mode & 0o777).toBe(0o700);
  }, 120_000);
});

/** nsenter waits for the command itself, which is its child where it has made one. */
function childOf(pid: number): number {
  const path = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  return Number(children.split(' ')[0] || pid);
}
