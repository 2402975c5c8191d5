/**
 * One Dockerfile and one context, built by BuildKit in Debian's dockerd and by Tare: the trees are equal in everything but the times of what the
 * build itself makes, and so are the configs; what one refuses the other refuses. Nothing is taken from a network.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are what is expanded
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, lutimesSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mountOverlay, openSnapshots } from '../../runtime/image/snapshot/index.js';
import { type Builder, makeBuilder } from '../harness/builder.js';
import { describeTree, diffTrees, type Tree } from '../harness/tree.js';
import { Docker } from './docker.js';

let docker: Docker;
let builder: Builder;
let context: string;

beforeAll(async () => {
  docker = await Docker.open('build-compare', ['--default-runtime', 'runc']);
  builder = await makeBuilder();
  context = join(builder.folder, 'context');
}, 120_000);

afterAll(async () => {
  await builder?.[Symbol.asyncDispose]();
  await docker?.place.close();
});

/** Long ago, so that it is told from what the build makes. */
const OLD = 1_000_000_000;

/** `name: content`, `name/`, `name -> target`, `name = other` (a hard link), `name !755` and `name @1:2` for mode and owner. */
function writeContext(entries: readonly string[]): void {
  for (const name of readdirSync(context)) rmSync(join(context, name), { recursive: true });
  const named = new Set<string>();
  for (const entry of entries) {
    const [, name = '', sign = '', rest = ''] = /^(\S+?)(: ?|\/$| -> | = | !| @|$)(.*)$/s.exec(entry) ?? [];
    const path = join(context, name);
    mkdirSync(sign === '/' ? path : dirname(path), { recursive: true });
    if (sign === ' -> ') symlinkSync(rest, path);
    else if (sign === ' = ') linkSync(join(context, rest), path);
    else if (sign === ' !') chmodSync(path, Number.parseInt(rest, 8));
    else if (sign === ' @') execFileSync('chown', ['-h', rest, path]);
    else if (sign !== '/') writeFileSync(path, rest);
    for (let part = name; part !== '.'; part = dirname(part)) named.add(part);
  }
  for (const name of [...named].sort().reverse()) lutimesSync(join(context, name), OLD, OLD);
}

interface Case {
  readonly context?: readonly string[];
  readonly dockerfile: string;
  readonly args?: Readonly<Record<string, string>>;
}

function dockerArguments({ args = {} }: Case): string[] {
  const given = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  return ['--network', 'none', ...given, '--file', '-', context];
}

const withKit = (...words: string[]) => ['env', 'DOCKER_BUILDKIT=1', ...docker.command(...words)];

async function dockerTree(one: Case): Promise<Tree> {
  const file = join(builder.folder, 'out.tar');
  await docker.place.ok(withKit('build', '--output', `type=tar,dest=${file}`, ...dockerArguments(one)), {
    stdin: one.dockerfile,
  });
  const folder = join(builder.folder, 'out');
  mkdirSync(folder);
  try {
    execFileSync('tar', [
      '-C',
      folder,
      '--xattrs',
      '--xattrs-include=*',
      '--numeric-owner',
      '--same-permissions',
      '--warning=no-timestamp',
      '-xf',
      file,
    ]);
    return describeTree(folder);
  } finally {
    rmSync(folder, { recursive: true });
    rmSync(file);
  }
}

async function tareTree(one: Case): Promise<Tree> {
  const { image } = await tareBuild(one);
  using lease = builder.store.lease();
  const snapshots = openSnapshots(builder.store);
  const chainId = await snapshots.unpack(image, lease);
  using root = await mountOverlay({ lower: snapshots.lower(chainId) });
  return describeTree(`/proc/${process.pid}/fd/${root.fd}/.`);
}

function tareBuild({ dockerfile, args = {} }: Case) {
  return builder.build(dockerfile, { args: new Map(Object.entries(args)) });
}

/** The times of what the build makes, and of the root. */
function differences(first: Tree, second: Tree): string[] {
  return diffTrees(first, second, {
    ignore: (path, field, entry) =>
      path === '.' || (field === 'mtimeNs' && entry.mtimeNs / 1_000_000_000n !== BigInt(OLD)),
  });
}

const FILES = [
  'a: 1',
  'b: 22',
  'dir/x: 3',
  'dir/sub/y: 4',
  'dir/sub/deep/z.txt: 5',
  'dir/link -> x',
  'dir/e/',
  'c.txt: 6',
  'd.txt: 7',
];

const TREES: readonly [string, Case][] = [
  [
    'COPY: names and folders',
    {
      context: FILES,
      dockerfile: `FROM scratch
COPY a /n1
COPY a /n2/
COPY a /n3/m/o
COPY a b /n4/
COPY dir /n5
COPY dir/ /n6/
COPY dir a /n7/
COPY a n8
COPY ./dir/../b /n9/./x/../y
COPY dir/sub/deep /n5/sub
COPY ["c.txt", "d.txt", "/n10/"]
WORKDIR /w/o
COPY a .
COPY b rel/
COPY dir/x ../up
`,
    },
  ],
  [
    'COPY: patterns, links',
    {
      context: [
        ...FILES,
        'out -> dir',
        'file -> a',
        'absolute -> /b',
        'climbs -> ../../../c.txt',
        'dangling -> nowhere',
        'we[i]rd: w',
      ],
      dockerfile: `FROM scratch
COPY *.txt /p1/
COPY [ab] /p2/
COPY dir/*/y /p3/
COPY di? /p4/
COPY dir/* /p5/
COPY out /p6
COPY file /p7
COPY file absolute climbs /p8/
COPY out/x /p9
COPY . /p10/
COPY we[[]i]rd /p11/
COPY nothing* a /p12/
`,
    },
  ],
  [
    'COPY: into what is there',
    {
      context: [...FILES, 'l/to -> ../p', 'l/file -> p/f', 'l/abs -> /p', 'p/f: old', 'p/sub/keep: k', 'm/sub/y: new'],
      dockerfile: `FROM scratch
COPY l/ /l/
COPY p/ /p/
COPY m/ /p/
COPY a /l/to/new
COPY a /l/abs
COPY b /p
COPY dir /p
`,
    },
  ],
  [
    'COPY: modes, owners, times, hard links',
    {
      context: [
        'f: 1',
        'f @5:6',
        'f !4755',
        'g = f',
        'd/x: 2',
        'd/x !600',
        'd/x @7:8',
        'd !700',
        'd/y/z: 3',
        'd/y !1777',
        'p: 4',
        'q/r/s: 5',
        'q/r/s !600',
        'q/t -> r/s',
        'd/l -> x',
      ],
      dockerfile: `FROM scratch
COPY . /all/
COPY d /d
COPY --chown=11:12 d /o1
COPY --chown=13 f g /o2/
COPY --chown=14:15 f /o3/new/folder/
COPY --chmod=640 p /m1
COPY --chmod=755 q /m2
`,
    },
  ],
  [
    'users by name',
    {
      context: ['etc/passwd: root:x:0:0::/:\nweb:x:33:34::/:\n', 'etc/group: root:x:0:\nstaff:x:50:\n', 'f: 1', 'g: 2'],
      dockerfile:
        'FROM scratch\nCOPY etc /etc\nCOPY --chown=web f /1\nCOPY --chown=web:staff f /2\nCOPY --chown=7:staff f g /3/\nCOPY --chown=web:9 f /4\n',
    },
  ],
  [
    '.dockerignore',
    {
      context: [
        ...FILES,
        '.dockerignore: # comment\n*.txt\n!d.txt\ndir/sub\n!dir/sub/deep/z.txt\n**/x\n/b/\n',
        'no/x: 1',
        'no/y: 2',
      ],
      dockerfile: 'FROM scratch\nCOPY . /1/\nCOPY dir /2/\nCOPY *.txt /3/\nCOPY no /4/\n',
    },
  ],
  [
    '.dockerignore that ignores all but little',
    {
      context: [...FILES, '.dockerignore: *\n!dir/sub/**\ndir/sub/y\n!a\n'],
      dockerfile: 'FROM scratch\nCOPY . /\nCOPY dir /2/\n',
    },
  ],
  [
    'stages keep owners, and variables choose files',
    {
      context: [...FILES, 'a @5:6'],
      args: { WHICH: 'b', UNUSED: 'x' },
      dockerfile: `ARG BASE=first
FROM scratch AS first
COPY --chown=8:9 dir /src
COPY a /src/a
FROM scratch AS second
COPY b /only-second
FROM $BASE AS third
ARG WHICH=a
ENV TO=/to/$WHICH EXT=\${WHICH:+yes}
COPY $WHICH \${TO}-\${EXT}/
COPY --from=first /src /copied
COPY --from=1 /only-second /numbered
COPY --from=first --chown=1:2 /src/sub /owned/
COPY --from=first /src/*.none /src/x /patterns/
`,
    },
  ],
];

describe('the trees are equal', () => {
  it.each(TREES)('%s', async (_name, one) => {
    writeContext(one.context ?? FILES);
    const [theirs, ours] = [await dockerTree(one), await tareTree(one)];
    expect(theirs.size).toBeGreaterThan(2);
    expect(differences(theirs, ours)).toEqual([]);
  });

  it('ADD unpacks archives, and RUN sees and changes them', async () => {
    writeContext([
      'in/etc/conf: 1',
      'in/etc/conf @3:4',
      'in/etc/conf !640',
      'in/l -> etc',
      'in/hard = in/etc/conf',
      'plain: 2',
    ]);
    for (const [name, option] of [
      ['a.tar', '-c'],
      ['b.tgz', '-cz'],
    ])
      execFileSync('tar', ['-C', join(context, 'in'), option as string, '-f', join(context, name as string), '.']);
    execFileSync('gzip', ['-kn', join(context, 'plain')]);
    execFileSync('cp', [docker.place.image, join(context, 'box.tar')]);
    const dockerfile = `FROM scratch
ADD box.tar /
ADD a.tar /one
ADD b.tgz /two/
ADD --chown=5:6 a.tar /three
ADD plain.gz /four/
ADD plain /five
COPY a.tar /six/
RUN rm /one/etc/conf && echo new > /two/etc/new && mkdir -p /seven/x && ln -s x /seven/y && chmod 700 /four && rm -r /three && chmod 1777 /tmp
RUN --mount=type=bind,target=/c --mount=type=tmpfs,target=/t cp /c/plain /eight && touch /t/x
SHELL ["/bin/sh", "-ec"]
RUN echo "$0" "$(pwd)" > /nine
USER 7:8
WORKDIR /ten
RUN id -u > /tmp/eleven
`;
    const [theirs, ours] = [await dockerTree({ dockerfile }), await tareTree({ dockerfile })];
    // BuildKit leaves the places where something was mounted as empty folders; Tare takes them away again.
    const places = ['c', 'dev', 'proc', 'sys', 't'].map((name) => `${name}: only in the first`);
    expect(differences(theirs, ours)).toEqual(places);
  });
});

const CONFIGS: readonly [string, Case][] = [
  ['nothing', { dockerfile: 'FROM scratch\nCOPY a /\n' }],
  [
    'all of it',
    {
      args: { B: 'given' },
      dockerfile: `FROM scratch AS base
ENV A=1 Q="a b" E=a\\ b
ENV OLD form of it
LABEL one=1 "two words"="x y" three='$A' four="$A"
EXPOSE 80 443/tcp 53/udp 9000-9002
WORKDIR /wd
WORKDIR b/../c
USER web:staff
VOLUME /v1 /v2
VOLUME ["/v 3"]
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/entry", "x y"]
CMD echo $A  "b"
HEALTHCHECK --interval=5s --timeout=1m30s --retries=3 --start-period=100ms CMD curl -f localhost || exit 1
SHELL ["/bin/bash", "-c"]
ONBUILD COPY . /x
ONBUILD RUN echo "hi"
ARG B=default
ENV FROMARG=$B-\${UNSET:-none}-\${A:+set}
COPY a /
`,
    },
  ],
  [
    'a later stage that takes it over',
    {
      dockerfile:
        'FROM scratch AS b\nENV A=1\nENTRYPOINT ["e"]\nCMD ["c"]\nCOPY a /\nFROM b\nENV A=2 B=$A\nENTRYPOINT f\nHEALTHCHECK NONE\n',
    },
  ],
  ['CMD by another shell', { dockerfile: 'FROM scratch\nSHELL ["/s", "-c"]\nCMD a b\nENTRYPOINT c\nCOPY a /\n' }],
  [
    'predefined arguments are not kept',
    {
      dockerfile: 'FROM scratch\nARG TARGETARCH\nARG HTTP_PROXY\nENV X=$TARGETARCH$HTTP_PROXY\nCOPY a /\n',
      args: { HTTP_PROXY: 'http://p' },
    },
  ],
];

describe('the configs are equal', () => {
  it.each(CONFIGS)('%s', async (_name, one) => {
    writeContext(one.context ?? FILES);
    await docker.place.ok(withKit('build', '--tag', 'compared', ...dockerArguments(one)), { stdin: one.dockerfile });
    const said = JSON.parse(await docker.inspect('compared', '{{json .Config}}')) as Record<string, unknown>;
    const { image } = await tareBuild(one);
    expect(meant(image.config.config as Record<string, unknown>)).toEqual(meant(said));
  });
});

/** What says something: Docker also writes what is empty, and that a program of an image from nothing begins in `/` with a PATH. */
function meant(config: Record<string, unknown>): Record<string, unknown> {
  const { WorkingDir, Env, ...others } = config as { WorkingDir?: string; Env?: string[] };
  const { Hostname: _, Domainname: __, Image: ___, ArgsEscaped: ____, ...more } = others as Record<string, unknown>;
  const rest = {
    ...more,
    WorkingDir: WorkingDir === '/' ? '' : WorkingDir,
    Env: (Env ?? []).filter((entry) => entry !== DEFAULT_PATH),
  };
  const entries = Object.entries<unknown>(rest).filter(
    ([, value]) => value !== undefined && value !== null && value !== '' && value !== false,
  );
  return Object.fromEntries(entries.filter(([, value]) => !Array.isArray(value) || value.length > 0));
}

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const FAULTS: readonly [string, string][] = [
  ['an unknown instruction', 'FROM scratch\nCPOY a /\n'],
  ['a missing source', 'FROM scratch\nCOPY nowhere /\n'],
  ['an ignored source', 'FROM scratch\nCOPY ignored /\n'],
  ['a folder over a file', 'FROM scratch\nCOPY a /n\nCOPY dir /n\n'],
  ['an unknown user', 'FROM scratch\nCOPY --chown=nobody a /\n'],
  ['a quote that is not closed', 'FROM scratch\nENV a="b\n'],
  ['a variable that must be set', 'FROM scratch\nARG X\nCOPY ${X:?is missing} /\n'],
  ['ONBUILD ONBUILD', 'FROM scratch\nONBUILD ONBUILD RUN a\n'],
];

describe('what BuildKit refuses is refused', () => {
  it.each(FAULTS)('%s', async (_name, dockerfile) => {
    writeContext([...FILES, '.dockerignore: ignored', 'ignored: x']);
    const refused = await docker.place.run(withKit('build', ...dockerArguments({ dockerfile })), { stdin: dockerfile });
    expect(refused.status, refused.stderr).not.toBe(0);
    await expect(tareBuild({ dockerfile })).rejects.toThrow(/^(?:Dockerfile|\S*\.dockerignore):\d+:\d+: /);
  });
});
