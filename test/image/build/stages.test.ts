/** Stages: which are built, at the same time, and what goes from one to another. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { push } from '../../../runtime/image/registry/index.js';
import { type Builder, makeBuilder } from '../../harness/builder.js';
import { startRegistry } from '../../harness/registry.js';

describe('stages', () => {
  let builder: Builder;
  beforeAll(async () => {
    builder = await makeBuilder();
  });
  afterAll(async () => {
    await builder[Symbol.asyncDispose]();
  });

  it('only those that the target needs are built', async () => {
    const { image, output } = await builder.build(
      `FROM busybox AS base
RUN echo base
FROM busybox AS unused
RUN echo unused; false
FROM base AS maker
RUN mkdir -p /out/bin && echo made > /out/bin/file
FROM scratch
COPY --from=maker /out /
COPY --from=0 /etc/passwd /users
`,
    );
    expect(output).toBe('base\n');
    expect(await builder.file(image, 'bin/file')).toBe('made\n');
    expect(await builder.file(image, 'users')).toContain('root:');
    expect(image.config.config).toEqual({});
    expect(
      (await builder.build('FROM busybox AS a\nENV A=1\nFROM scratch\n', { target: 'a' })).image.config.config?.Env,
    ).toContain('A=1');
    await expect(builder.build('FROM busybox AS a\n', { target: 'b' })).rejects.toThrow(
      'there is no stage "b": there are a',
    );
  });

  it('that do not need each other run at the same time', async () => {
    // Each waits for the other, by the cache that they share.
    const wait = (mine: string, other: string) =>
      `RUN --mount=type=cache,target=/c touch /c/${mine}; while ! test -e /c/${other}; do sleep 0.02; done`;
    const { image } = await builder.build(
      `FROM busybox AS a
${wait('a', 'b')}
FROM busybox AS b
${wait('b', 'a')}
FROM scratch
COPY --from=a /etc/group /a
COPY --from=b /etc/group /b
`,
      { parallel: 2 },
    );
    expect(image.manifest.layers).toHaveLength(2);
  });

  it('end with the first that fails', async () => {
    const building = builder.build(
      'FROM busybox AS a\nRUN sleep 1000\nFROM busybox AS b\nRUN sleep 0.1; exit 3\nFROM scratch\nCOPY --from=a / /a\nCOPY --from=b / /b\n',
      { parallel: 2 },
    );
    await expect(building).rejects.toMatchObject({ programCode: 3 });
  });

  it('a copy from a stage depends on what is copied, not on how it was made', async () => {
    const text = (how: string) =>
      `FROM busybox AS a\nRUN ${how}; mkdir /out; echo same > /out/file\nFROM busybox\nCOPY --from=a /out/file /file\n`;
    await builder.build(text('echo 1 > /one'));
    const { cached, done } = await builder.build(text('echo 2 > /two'));
    expect(cached).toContain('COPY --from=a /out/file /file');
    expect(done).not.toContain('COPY --from=a /out/file /file');
  });

  it('mounts: of a stage and the context, read-only, or written to and lost', async () => {
    builder.write({ 'src/input': 'input\n', '.dockerignore': 'src/hidden\n', 'src/hidden': '' });
    const { output, image } = await builder.build(
      `FROM busybox AS tools
RUN mkdir /tools && echo tool > /tools/tool
FROM busybox
RUN --mount=from=tools,source=/tools,target=/t --mount=target=/s,source=src cat /t/tool /s/input; ls /s; touch /s/x
RUN --mount=target=/s,source=src,rw touch /s/x && ls /s
RUN --mount=target=/one,source=src/input cat /one
`.replace('; touch /s/x', ' && ! touch /s/x 2>/dev/null'),
    );
    expect(output).toBe('tool\ninput\ninput\ninput\nx\ninput\n');
    expect(image.manifest.layers).toHaveLength(1);
    await expect(builder.build('FROM busybox\nRUN --mount=target=/s,source=none ls /s\n')).rejects.toThrow(/none/);
  });

  it('mounts: a cache stays for the next build, in no layer', async () => {
    const text = (n: number) =>
      `FROM busybox\nRUN --mount=type=cache,target=/var/cache echo ${n} >> /var/cache/log && cat /var/cache/log\n`;
    await builder.build(text(1));
    const { output, image } = await builder.build(text(2));
    expect(output).toBe('1\n2\n');
    expect(image.manifest.layers).toHaveLength(1);
  });

  it('mounts: a cache that is to begin otherwise is another', async () => {
    const { output } = await builder.build(`FROM busybox
RUN --mount=type=cache,target=/begun touch /begun/x && stat -c '%u:%g %a' /begun
RUN --mount=type=cache,target=/begun,uid=5,gid=6,mode=0711 stat -c '%u:%g %a' /begun && ls /begun
RUN --mount=type=cache,target=/begun ls /begun
`);
    expect(output).toBe('0:0 755\n5:6 711\nx\n');
  });

  it('a pattern that finds nothing copies nothing, and is told', async () => {
    builder.write({ 'some.txt': '' });
    const { output, events } = await builder.build(
      'FROM busybox\nCOPY none* /none/\nCOPY none* some* /some/\nRUN ls -d /none /some /some/* 2>/dev/null || true\n',
    );
    expect(output).toBe('/some\n/some/some.txt\n');
    const warnings = events.flatMap((event) => (event.kind === 'warning' ? event.text : []));
    expect(warnings).toEqual(['Dockerfile:2:6: nothing in the build context matches "none*", so nothing is copied']);
  });

  it('mounts: a secret is in no layer, no history and no key', async () => {
    process.env.TARE_TEST_SECRET = 'hunter2';
    const text = `FROM busybox
RUN --mount=type=secret,id=s cat /run/secrets/s; stat -c %a /run/secrets/s
RUN --mount=type=secret,id=s,env=TOKEN echo " $TOKEN"
RUN --mount=type=secret,id=none ls /run 2>&1 | wc -l
`;
    const secrets = [{ id: 's', source: { variable: 'TARE_TEST_SECRET' } }];
    const first = await builder.build(text, { secrets });
    expect(first.output).toBe('hunter2400\n hunter2\n1\n');
    expect(first.image.manifest.layers).toHaveLength(1);
    expect(JSON.stringify(first.image.config)).not.toContain('hunter2');
    process.env.TARE_TEST_SECRET = 'other';
    expect((await builder.build(text, { secrets })).output).toBe('');
    const required = 'FROM busybox\nRUN --mount=type=secret,id=none,required true\n';
    await expect(builder.build(required)).rejects.toThrow('the secret "none" is required');
    await expect(builder.build('FROM busybox\nRUN --mount=type=ssh,required true\n')).rejects.toThrow('no SSH agent');
    expect((await builder.build('FROM busybox\nRUN --mount=type=ssh echo "[$SSH_AUTH_SOCK]"\n')).output).toBe('[]\n');
  });

  it('triggers of a base are done behind FROM, and not kept', async () => {
    await builder.build('FROM busybox\nONBUILD COPY in /in\nONBUILD RUN cat /in\nONBUILD ENV T=1\n', {
      names: [parseReference('trigger')],
    });
    builder.write({ in: 'triggered\n' });
    const { output, image } = await builder.build('FROM trigger\nENV A=$T\n');
    expect(output).toBe('triggered\n');
    expect(image.config.config).toMatchObject({ Env: expect.arrayContaining(['T=1', 'A=1']) });
    expect(image.config.config?.OnBuild).toBeUndefined();
  });

  it('have the arguments of the stage that they begin with', async () => {
    const { output } = await builder.build(
      `ARG G=global
FROM busybox AS base
ARG A=1 G
FROM base AS middle
ARG A=$A-2
FROM middle AS third
ARG B=$A-$G
RUN echo "$A $B"
FROM busybox AS other
ARG C=[$A]
RUN echo "$C" > /c
FROM third
COPY --from=other /c /c
RUN cat /c; echo "$A"
`.replaceAll('\\$', '$'),
    );
    expect(output).toBe('1-2 1-2-global\n[]\n1-2\n');
  });

  it('WORKDIR makes its folder where a link leads, and root’s without a passwd', async () => {
    const { output } = await builder.build(
      `FROM busybox AS base
RUN ln -s /var/far/off /near
USER user
WORKDIR /near/sub
RUN pwd -P; stat -c %u /var/far /var/far/off/sub
FROM scratch AS bare
USER root
WORKDIR /made
USER 1234
WORKDIR /numbered
FROM base
COPY --from=bare / /bare
RUN stat -c %u:%g /bare/made /bare/numbered
`,
    );
    expect(output).toBe('/var/far/off/sub\n1000\n1000\n0:0\n1234:1234\n');
  });

  it('know which of them was asked for', async () => {
    const text = 'FROM busybox AS one\nARG TARGETSTAGE\nRUN echo "$TARGETSTAGE"\nFROM one AS two\n';
    expect((await builder.build(text)).output).toBe('default\n');
    expect((await builder.build(text, { target: 'one' })).output).toBe('one\n');
  });

  it('FROM takes variables, and says what is not there with its place', async () => {
    const { image } = await builder.build('ARG NAME=nothing\nFROM $NAME\n', { args: new Map([['NAME', 'busybox']]) });
    expect(image.manifest.layers).toEqual(loadImage(builder.store, 'busybox').manifest.layers);
    await expect(builder.build('FROM busybox\nFROM nothing:1\n')).rejects.toThrow(/^Dockerfile:2:6: .*nothing:1/);
    await expect(builder.build('FROM --platform=linux/arm64 busybox\n')).rejects.toThrow('linux/amd64');
  });

  it('a base of another platform, whose registry cannot be reached, is said to be here for that', async () => {
    const name = '127.0.0.1:1/base:1';
    await builder.build('FROM busybox\n', { names: [parseReference(name)] });
    const other = builder.build(`FROM --platform=linux/arm64 ${name}\n`, { pull: 'missing' });
    await expect(other).rejects.toThrow(
      /is not made for linux\/arm64: there is linux\/amd64; and from its registry: .*127/,
    );
  });

  it('a base that is not here is pulled', async () => {
    const registry = await startRegistry();
    try {
      const name = `${registry.host}/base:1`;
      {
        await using other = await makeBuilder();
        await other.build('FROM busybox\nRUN echo pulled > /pulled\n', { names: [parseReference(name)] });
        await push(other.store, parseReference(name));
      }
      const { output } = await builder.build(`FROM ${name}\nRUN cat /pulled\n`, { pull: 'missing' });
      expect(output).toBe('pulled\n');
      expect(loadImage(builder.store, name).manifest.layers).toHaveLength(2);
      const none = builder.build(`FROM busybox\nFROM ${registry.host}/none\n`, { pull: 'missing' });
      await expect(none).rejects.toThrow(/^Dockerfile:2:6: /);
    } finally {
      await registry.stop();
    }
  });
});
