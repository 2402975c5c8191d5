/** `tare build` as people call it: its options, what it prints, and how it ends. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

  it.each<[string, readonly string[], RegExp]>([
    ['FROM busybox\nRUM x\n', [], /Dockerfile:2:1: .*RUN/],
    ['FROM busybox\nCOPY none /\n', [], /Dockerfile:2:6: "none" cannot be copied/],
    ['FROM busybox\n', ['--target', 'none'], /there is no stage "none"/],
    ['FROM busybox\n', ['--network', 'bridge'], /--network bridge: must be none or host/],
    ['FROM busybox\n', ['--output', 'type=zip'], /--output type=zip: its type is one of/],
    ['FROM busybox\n', ['--secret', 'src=x'], /--secret src=x: it needs an id/],
    ['FROM busybox\n', ['-t', 'UPPER'], /must be lower case/],
    ['FROM busybox\n', ['--platform', 'a/b/c/d'], /"a\/b\/c\/d" is no platform/],
    ['FROM busybox\n', ['-f', '/none'], /there is no Dockerfile \/none/],
    ['FROM busybox\n', ['--build-arg', 'SOURCE_DATE_EPOCH=x'], /SOURCE_DATE_EPOCH is "x"/],
  ])('%j with %j is refused, with 125', async (dockerfile, args, message) => {
    const { status, stderr } = await build(dockerfile, args);
    expect(stderr).toMatch(message);
    expect(status).toBe(125);
  });

  it('leaves nothing in the world but the store', async () => {
    const leaks = await world.leaks();
    expect(leaks.length).toBeGreaterThan(0);
    expect(leaks.filter((line) => !line.startsWith('file root/'))).toEqual([]);
  });
});
