/** `tare build` as people call it: its options, what it prints, and how it ends. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadImage } from '../../runtime/image/image.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { busyboxImage, putImage } from '../harness/images.js';
import { makeWorld, type World } from '../harness/world.js';

describe('tare build', () => {
  let world: World;
  let context: string;
  beforeAll(async () => {
    world = await makeWorld('build');
    context = join(world.folder, 'context');
    mkdirSync(context);
    using store = await ImageStore.open(join(world.folder, 'root/images'));
    await putImage(store, busyboxImage(), 'busybox');
  });
  afterAll(() => world.close());

  const build = (dockerfile: string, args: readonly string[] = [], env: Record<string, string> = {}) => {
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    return world.tare(['build', ...args, context], { env });
  };

  /** What programs have written. */
  const printed = (stderr: string): string[] => stderr.match(/(?<=^#\d+ \d+\.\d+ ).*/gm) ?? [];

  it('names an image that runs, and tells its id wherever it is to', async () => {
    const [id, metadata] = [join(world.folder, 'id'), join(world.folder, 'metadata')];
    const args = ['-q', '-t', 'one', '-t', 'two:2', '--label', 'a=b', '--iidfile', id, '--metadata-file', metadata];
    const { status, stdout, stderr } = await build(
      'FROM busybox\nARG WHO\nENV WHO=$WHO\nCMD echo hello $WHO\n',
      [...args, ...['--build-arg', 'WHO']],
      { WHO: 'world' },
    );
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(readFileSync(id, 'utf8')).toBe(stdout.trim());
    expect(JSON.parse(readFileSync(metadata, 'utf8'))).toMatchObject({
      'containerimage.config.digest': stdout.trim(),
      'image.name': 'docker.io/library/one:latest,docker.io/library/two:2',
    });
    expect((await world.tare(['run', 'two:2'])).stdout).toBe('hello world\n');
  });

  it('writes nothing behind an archive on standard output', async () => {
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY <<E /file\nx\nE\n');
    const script = 'tare build $2 -o - "$1" > "$3" && tail -c 1024 "$3" | tr -d "\\0" | wc -c && tar -xOf "$3" file';
    for (const quiet of ['-q', '--no-cache']) {
      const ran = await world.run(['sh', '-c', script, 'sh', context, quiet, join(world.folder, 'out.tar')]);
      expect(ran).toMatchObject({ status: 0, stdout: '0\nx\n' });
    }
  });

  it('does a step once that two processes come to at the same time', async () => {
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM busybox\nRUN --mount=type=cache,target=/c echo once >> /c/log; sleep 1; tee /log </c/log\n',
    );
    const both = await Promise.all(['left', 'right'].map((name) => world.tare(['build', '-t', name, context])));
    const said = both.map(({ stderr }) => stderr);
    expect(
      both.map(({ status }) => status),
      said.join(''),
    ).toEqual([0, 0]);
    // One has run it, and found its own line alone; the other has waited, and taken it from the cache.
    expect(said.filter((text) => / once\n/.test(text))).toHaveLength(1);
    expect(said.filter((text) => /^#\d+ CACHED$/m.test(text))).toHaveLength(1);
    using store = await ImageStore.open(join(world.folder, 'root/images'));
    const [left, right] = ['left', 'right'].map((name) => loadImage(store, name).manifest.layers);
    expect(left).toHaveLength(2);
    expect(left).toEqual(right);
  });

  it('is lines where nobody watches, and ends with 1 when a RUN fails', async () => {
    const { status, stdout, stderr } = await build('FROM busybox AS a\nRUN echo out; echo err >&2; exit 9\n', [
      '--no-cache',
    ]);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr.replace(/\d+\.\d+/g, 'T')).toBe(
      `#1 [a 1/2] FROM busybox AS a\n#1 DONE Ts\n#2 [a 2/2] RUN echo out; echo err >&2; exit 9\n#2 T out\n#2 T err\n#2 FAILED Ts
tare: ${context}/Dockerfile:2:1: RUN failed with exit code 9
  2 | RUN echo out; echo err >&2; exit 9
    | ^
`,
    );
    const quiet = await build('FROM busybox\nRUN echo out; exit 9\n', ['-q']);
    expect(quiet.stderr).toContain('  out\n');
  });

  const FILES = {
    Dockerfile: 'FROM busybox\nCOPY . /c/\nRUN ls -A /c; cat /c/sub/file; stat -c %u:%g /c/sub\n',
    'sub/file': 'packed\n',
  };
  it.each(['', 'gzip -c', 'zstd -qc', 'xz -c', 'bzip2 -c'])('takes a context as an archive: %s', async (pack) => {
    const folder = mkdtempSync(join(world.folder, 'packed-'));
    const files = { ...FILES, '.dockerignore': 'left-out', 'left-out': '' };
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const archive = `tar -C ${folder} --owner=5 --group=6 -c . ${pack && `| ${pack}`}`;
    const { status, stderr } = await world.run(['bash', '-c', `${archive} | tare build --no-cache -`]);
    expect(status, stderr).toBe(0);
    expect(printed(stderr)).toEqual(['.dockerignore', 'Dockerfile', 'sub', 'packed', '0:0']);
    const named = await world.run(['bash', '-c', `${archive} | tare build -f sub/file -`]);
    expect(named.stderr).toMatch(/^tare: sub\/file:1:1: there is no instruction "packed"/);
    rmSync(folder, { recursive: true });
  });

  it('a context that is an archive leads nowhere else', async () => {
    const folder = mkdtempSync(join(world.folder, 'packed-'));
    symlinkSync('/etc/passwd', join(folder, 'Dockerfile'));
    const linked = await world.run(['bash', '-c', `tar -C ${folder} -c . | tare build -`]);
    expect([linked.status, linked.stderr]).toEqual([
      125,
      'tare: there is no file "Dockerfile" in the context: name the Dockerfile with --file\n',
    ]);
    writeFileSync(join(folder, 'x'), 'FROM scratch\n');
    const climbs = `tar -C ${folder} --transform 's,^x,../../../climbed,' -cP x | tare build -`;
    const climbed = await world.run(['bash', '-c', climbs]);
    expect(climbed.stderr).toContain('lies outside of it');
    rmSync(folder, { recursive: true });
  });

  it.each<[string, string, RegExp]>([
    ['FROM busybox', '-', /^#1 /],
    ['FROM busybox', '-f other -', /no archive, and so the Dockerfile itself: leave --file out/],
    ['$packed', '-', /packed, but no tar archive/],
    ['', '-', /there is no FROM/],
    ['', 'https://example.org/a.tar', /a context from the web is not supported: download it/],
    ['', 'git@example.org:a/b', /a context in a git repository is not supported: clone it/],
  ])('standard input %j to build %s', async (input, args, message) => {
    const text = input.startsWith('$') ? 'echo x | gzip -c' : `printf '%s' '${input}'`;
    const { stderr } = await world.run(['bash', '-c', `${text} | tare build ${args}`]);
    expect(stderr.replace(/^tare: /, '')).toMatch(message);
  });

  it('gives RUN the names of the machine itself, and those that are added', async () => {
    const text =
      'FROM busybox\nRUN grep -c . /etc/hosts; grep -E "^127.0.0.1 localhost|here" /etc/hosts; echo x >> /etc/hosts\n';
    const { stderr } = await build(text, ['--no-cache', '--add-host', 'here:10.1.2.3', '--add-host=here6=[::5]']);
    expect(printed(stderr)).toEqual(['4', '127.0.0.1 localhost build', '10.1.2.3 here', '::5 here6']);
    const id = /image (sha256:\S+)/.exec(stderr)?.[1] as string;
    expect((await world.tare(['run', id, 'ls', '-d', '/etc/hosts'])).stdout).toBe('');
  });

  it('does the steps of a stage again', async () => {
    const text =
      'FROM busybox AS one\nRUN echo one\nFROM one AS two\nRUN echo two\nFROM one\nCOPY --from=two /etc /e\n';
    await build(text);
    const { stderr } = await build(text, ['--no-cache-filter', 'TWO']);
    expect(printed(stderr)).toEqual(['two']);
    expect(printed((await build(text)).stderr)).toEqual([]);
  });

  it('only looks at the Dockerfile for --check', async () => {
    const well = await build('FROM none-such\nRUN a\n', ['--check']);
    expect(well).toEqual({ status: 0, stdout: 'no warnings\n', stderr: '' });
    const { status, stdout } = await build('FROM none-such as x\nRUN a\n', ['--check']);
    expect([status, stdout]).toEqual([
      1,
      `FromAsCasing: ${context}/Dockerfile:1:16: write FROM and AS both in capitals, or both not\n  1 | FROM none-such as x\n    |                ^\n`,
    ]);
  });

  it('tells of options that count for nothing here', async () => {
    const args = [
      '--cache-from',
      'a',
      '--cache-from',
      'b',
      '--load',
      '--rm',
      '--provenance=false',
      '--progress',
      'tty',
    ];
    const { status, stderr } = await build('FROM busybox\n', args);
    expect([status, stderr.match(/^warning: .*/gm)]).toEqual([
      0,
      ['warning: --cache-from: what earlier builds have come to is taken from the store of this machine alone'],
    ]);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['FROM busybox\nRUM x\n', [], /Dockerfile:2:1: .*RUN/],
    ['FROM busybox\nCOPY none /\n', [], /Dockerfile:2:6: "none" cannot be copied/],
    ['FROM busybox\n', ['--target', 'none'], /there is no stage "none"/],
    ['FROM busybox\n', ['--network', 'bridge'], /--network bridge: must be none or host/],
    ['FROM busybox\n', ['--output', 'type=zip'], /--output type=zip: its type is one of/],
    ['FROM busybox\n', ['--secret', 'src=x'], /--secret src=x: it needs an id/],
    ['FROM busybox\n', ['-t', 'UPPER'], /must be lower case/],
    ['FROM busybox\n', ['--platform', 'a/b/c/d'], /"a\/b\/c\/d" is no platform/],
    ['FROM busybox\n', ['--build-context', 'a=b'], /--build-context is not supported: a build has one context/],
    ['FROM busybox\n', ['--sbom=true'], /--sbom is not supported: Tare writes no attestations/],
    ['FROM busybox\n', ['--add-host', 'a:b'], /--add-host a:b: must be NAME:ADDRESS/],
    [
      '# check=error=true\nFROM busybox as x\n',
      [],
      /Dockerfile:2:14: write FROM and AS .* \(FromAsCasing, an error by/,
    ],
    ['FROM --platform=$NONE busybox\n', [], /Dockerfile:1:17: FROM --platform is empty/],
    ['FROM busybox\n', ['-f', '/none'], /there is no Dockerfile \/none/],
    ['FROM busybox\n', ['--build-arg', 'SOURCE_DATE_EPOCH=x'], /SOURCE_DATE_EPOCH is "x"/],
  ])('%j with %j is refused, with 125', async (dockerfile, args, message) => {
    const { status, stderr } = await build(dockerfile, args);
    expect(stderr).toMatch(message);
    expect(status).toBe(125);
  });

  it('leaves nothing in the world but the store', async () => {
    const leaks = await world.leaks(undefined, { waitMs: 2000 });
    expect(leaks.length).toBeGreaterThan(0);
    expect(leaks.filter((line) => !line.startsWith('file root/'))).toEqual([]);
  });
});
