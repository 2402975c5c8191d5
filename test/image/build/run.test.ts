/** RUN: what it sees, what it leaves, what it prints, and how it fails. */
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Builder, makeBuilder } from '../../harness/builder.js';

describe('RUN', () => {
  let builder: Builder;
  beforeAll(async () => {
    builder = await makeBuilder();
  });
  afterAll(async () => {
    await builder[Symbol.asyncDispose]();
  });
  const left = () => [
    ...readdirSync(join(builder.store.root, 'build-cache/steps')),
    ...readdirSync(join(builder.folder, 'state')),
  ];

  it('changes files in a layer of its own, and leaves no mount points', async () => {
    const { image, output } = await builder.build('FROM busybox\nRUN echo hello | tee /greeting\nRUN true\n');
    expect(output).toContain('hello\n');
    expect(await builder.file(image, 'greeting')).toBe('hello\n');
    expect(image.manifest.layers).toHaveLength(2);
    expect(image.config.history?.slice(1)).toMatchObject([
      { created_by: 'RUN /bin/sh -c echo hello | tee /greeting' },
      { created_by: 'RUN /bin/sh -c true', empty_layer: true },
    ]);
  });

  it('in an image without /proc, /dev and /sys leaves none', async () => {
    const { image } = await builder.build(
      `FROM busybox AS from
FROM scratch
COPY --from=from /bin/busybox /bin/sh
RUN --mount=type=tmpfs,target=/a/b/c --mount=type=tmpfs,target=/bin/d echo x > /file
`,
    );
    expect(await builder.file(image, 'file')).toBe('x\n');
    const layers = join(builder.store.root, 'snapshots');
    expect(readdirSync(layers).map((id) => readdirSync(join(layers, id, 'fs')))).toContainEqual(['file']);
  });

  it('has the environment, folder, user and shell of its line', async () => {
    const { output } = await builder.build(
      `FROM busybox
ARG ONE=1
ARG NONE
ENV TWO=\${ONE}2
WORKDIR /deep/er
USER user
SHELL ["/bin/sh", "-ec"]
RUN echo "$ONE $TWO [$NONE] $(pwd) $(id -u):$(id -g) $(id -G) $HOME"
`,
      { args: new Map([['ONE', 'x']]) },
    );
    expect(output).toBe('x x2 [] /deep/er 1000:1000 1000 2000 /home/user\n');
  });

  it('has a proxy by both of its names, whichever was given', async () => {
    const { output } = await builder.build('FROM busybox\nRUN echo "$HTTP_PROXY $http_proxy $no_proxy"\n', {
      args: new Map([
        ['http_proxy', 'http://one'],
        ['NO_PROXY', 'here'],
      ]),
    });
    expect(output).toBe('http://one http://one here\n');
  });

  it('takes here-documents: for the shell, as a file of it, and with an interpreter', async () => {
    const { output } = await builder.build(
      'FROM busybox\nRUN <<EOF\nset -e\necho one\nEOF\nRUN cat <<A\ntwo\nA\nRUN <<EOF\n#!/bin/cat\nthree\nEOF\n',
    );
    expect(output).toBe('one\ntwo\n#!/bin/cat\nthree\n');
  });

  it('has no network but itself, and the host’s where that is asked for', async () => {
    const text = 'FROM busybox\nRUN ls /sys/class/net\nRUN --network=host readlink /proc/self/ns/net\n';
    await expect(builder.build(text)).rejects.toThrow(/^Dockerfile:3:1: this RUN wants the host's network/);
    const { output } = await builder.build(text, { allowHostNetwork: true, noCache: true });
    expect(output).toBe(`lo\n${readlinkSync('/proc/self/ns/net')}\n`);
  });

  it('that fails says its line, its exit code and what it printed, and leaves nothing', async () => {
    const failing = builder.build('FROM busybox\n\nRUN echo lost > /lost && echo before && exit 7\n');
    await expect(failing).rejects.toMatchObject({
      message: expect.stringMatching(/^Dockerfile:3:1: RUN failed with exit code 7\n3 \| RUN echo lost/),
      programCode: 7,
      exitCode: 1,
      output: 'before\n',
    });
    expect(left()).toEqual([]);
  });

  it('as a user, or in a folder, that cannot be says so with its place', async () => {
    await expect(builder.build('FROM busybox\nUSER stranger\nRUN true\n')).rejects.toThrow(
      /^Dockerfile:3:1: .*stranger/,
    );
    await expect(builder.build('FROM busybox\nWORKDIR /etc/passwd/x\n')).rejects.toThrow(
      /^Dockerfile:2:1: .*no folder/,
    );
  });

  it('without the program that it needs says so, with 127', async () => {
    await expect(builder.build('FROM busybox\nRUN ["/nothing"]\n')).rejects.toMatchObject({ programCode: 127 });
  });

  it('that is interrupted ends at once, with its container', async () => {
    const stop = new AbortController();
    const building = builder.build('FROM busybox\nRUN echo begun && sleep 1000\n', {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.kind === 'output') stop.abort(new Error('enough'));
      },
    });
    await expect(building).rejects.toThrow('enough');
    expect(left()).toEqual([]);
  });
});
