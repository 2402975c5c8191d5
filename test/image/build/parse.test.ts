/** The Dockerfile language: what is read, and what is said of what cannot be. */
import { describe, expect, it } from 'vitest';
import { type Instruction, parseDockerfile } from '../../../runtime/image/build/parse/index.js';

/** The instructions of a stage from scratch, without their places. */
function read(...lines: string[]): unknown[] {
  const { stages } = parseDockerfile(['FROM scratch', ...lines].join('\n'), 'Dockerfile');
  return (stages[0]?.instructions ?? []).map(plain);
}

/** Words are their texts; what says where something stands is left out. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const { at: _at, lastLine: _last, original: _original, ...rest } = value as Partial<Instruction> & { text?: unknown };
  const keys = Object.keys(rest);
  if (keys.length === 1 && keys[0] === 'text') return rest.text;
  return Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, plain(inner)]));
}

function fault(text: string): string {
  try {
    parseDockerfile(text, 'Dockerfile');
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing is wrong with it';
}

const shell = (text: string) => ({ form: 'shell', text });
const exec = (...args: string[]) => ({ form: 'exec', args });
const run = (command: object, more: object = {}) => ({ kind: 'run', command, mounts: [], network: 'default', ...more });
const paths = (...names: string[]) => names.map((path) => ({ kind: 'path', path }));
const copy = (more: object) => ({ kind: 'copy', link: false, exclude: [], parents: false, ...more });

describe('what instructions say', () => {
  it.each<[string, unknown]>([
    ['RUN echo a  b', run(shell('echo a  b'))],
    ['run ["echo", "a b"]', run(exec('echo', 'a b'))],
    ['RUN [ "a" ] && b', run(shell('[ "a" ] && b'))],
    [
      'RUN --network=none --mount=type=tmpfs,target=/t true',
      run(shell('true'), { network: 'none', mounts: ['type=tmpfs,target=/t'] }),
    ],
    [
      'RUN --mount=target=/t --mount=type=cache,target=/c -- --x',
      run(shell('--x'), { mounts: ['target=/t', 'type=cache,target=/c'] }),
    ],
    ['RUN --security=sandbox true', run(shell('true'))],
    ['CMD ["a"]', { kind: 'cmd', command: exec('a') }],
    ['CMD []', { kind: 'cmd', command: exec() }],
    ['CMD', { kind: 'cmd', command: shell('') }],
    ["ENTRYPOINT ['a']", { kind: 'entrypoint', command: shell("['a']") }],
    ['SHELL ["/bin/bash", "-c"]', { kind: 'shell', args: ['/bin/bash', '-c'] }],
    [
      'ENV a=1 b="2 3" c=\\ 4',
      {
        kind: 'env',
        pairs: [
          { key: 'a', value: '1' },
          { key: 'b', value: '"2 3"' },
          { key: 'c', value: '\\ 4' },
        ],
      },
    ],
    ['ENV a b  "c" = d', { kind: 'env', pairs: [{ key: 'a', value: 'b  "c" = d' }] }],
    ['ENV a=', { kind: 'env', pairs: [{ key: 'a', value: '' }] }],
    [
      'LABEL "a.b"="x y" c=d=e',
      {
        kind: 'label',
        pairs: [
          { key: '"a.b"', value: '"x y"' },
          { key: 'c', value: 'd=e' },
        ],
      },
    ],
    ['ARG a b=1 c=', { kind: 'arg', args: [{ name: 'a' }, { name: 'b', value: '1' }, { name: 'c', value: '' }] }],
    ['EXPOSE 80/tcp\t 90-92', { kind: 'expose', values: ['80/tcp', '90-92'] }],
    ['USER a b', { kind: 'user', value: 'a b' }],
    ['WORKDIR /a b', { kind: 'workdir', value: '/a b' }],
    ['VOLUME /a /b', { kind: 'volume', values: ['/a', '/b'] }],
    ['VOLUME ["/a b"]', { kind: 'volume', values: ['/a b'] }],
    ['STOPSIGNAL SIGINT', { kind: 'stopsignal', value: 'SIGINT' }],
    ['MAINTAINER me <me@here>', { kind: 'maintainer', value: 'me <me@here>' }],
    ['HEALTHCHECK none', { kind: 'healthcheck' }],
    [
      'HEALTHCHECK --interval=1m30s --timeout=100ms --start-period=0s --start-interval=1.5s --retries=3 CMD curl a',
      {
        kind: 'healthcheck',
        command: shell('curl a'),
        interval: 90e9,
        timeout: 1e8,
        startPeriod: 0,
        startInterval: 1.5e9,
        retries: 3,
      },
    ],
    ['HEALTHCHECK cmd ["a"]', { kind: 'healthcheck', command: exec('a') }],
    ['COPY a b c/', copy({ sources: paths('a', 'b'), destination: 'c/' })],
    ['COPY ["a b", "c"]', copy({ sources: paths('a b'), destination: 'c' })],
    [
      'COPY --chown=1:2 --chmod=u+x --link --exclude=*.md --exclude=b --parents a b',
      copy({
        sources: paths('a'),
        destination: 'b',
        chown: '1:2',
        chmod: 'u+x',
        link: true,
        exclude: ['*.md', 'b'],
        parents: true,
      }),
    ],
    ['COPY --link=false a b', copy({ sources: paths('a'), destination: 'b' })],
    ['COPY --chown="$U":1 a b', copy({ sources: paths('a'), destination: 'b', chown: '$U:1' })],
    [
      'ADD --checksum=sha256:0 --unpack=false --keep-git-dir http://a/b /c',
      {
        kind: 'add',
        sources: paths('http://a/b'),
        destination: '/c',
        link: false,
        exclude: [],
        checksum: 'sha256:0',
        unpack: false,
        keepGitDir: true,
      },
    ],
    ['ONBUILD RUN ["a"]', { kind: 'onbuild', instruction: run(exec('a')), trigger: 'RUN ["a"]' }],
    [
      '  \tonbuild   copy --link a b',
      {
        kind: 'onbuild',
        instruction: copy({ sources: paths('a'), destination: 'b', link: true }),
        trigger: 'copy --link a b',
      },
    ],
  ])('%s', (line, expected) => {
    expect(read(line)).toEqual([expected]);
  });
});

describe('lines', () => {
  it.each<[string, string[], unknown[]]>([
    ['go on', ['RUN a \\', '  b'], [run(shell('a   b'))]],
    ['go on with white space behind', ['RUN a\\ \t', 'b'], [run(shell('ab'))]],
    ['go on over comments', ['RUN a \\', '# not this', '  # nor this', 'b'], [run(shell('a b'))]],
    ['go on over empty ones', ['RUN a \\', '', '  ', 'b'], [run(shell('a b'))]],
    ['that only go on', ['\\', 'RUN a'], [run(shell('a'))]],
    ['end with an escaped escape', ['RUN a \\\\', 'RUN b'], [run(shell('a \\\\')), run(shell('b'))]],
    ['go on at the end of the file', ['RUN a \\'], [run(shell('a'))]],
    ['have a # in them', ['RUN a # b'], [run(shell('a # b'))]],
    ['of Windows', ['RUN a \\\r', 'b\r', '\r', 'RUN c\r'], [run(shell('a b')), run(shell('c'))]],
    ['begin with spaces', ['   # x', '   RUN a'], [run(shell('a'))]],
  ])('%s', (_name, lines, expected) => {
    expect(read(...lines)).toEqual(expected);
  });

  it('have an escape character of their own', () => {
    const { stages, directives } = parseDockerfile(
      '# escape=`\n#syntax = docker/dockerfile:1.7\nFROM a\nRUN x `\n y \\\nRUN c:\\',
      'D',
    );
    expect(directives).toEqual({ escape: '`', syntax: 'docker/dockerfile:1.7' });
    expect(stages[0]?.instructions.map(({ original }) => original)).toEqual(['RUN x  y \\', 'RUN c:\\']);
  });

  it('directives come before all else', () => {
    const { directives } = parseDockerfile('# a comment\n# escape=`\nFROM a', 'D');
    expect(directives).toEqual({ escape: '\\' });
  });
});

const heredoc = (name: string, content: string, expand = true, raw = content) => ({
  kind: 'heredoc',
  heredoc: { name, expand, content, raw },
});

describe('here-documents', () => {
  it.each<[string, string[], unknown[]]>([
    ['are the script', ['RUN <<EOF', 'a', ' # b', 'EOF', 'RUN c'], [run(shell('a\n # b\n')), run(shell('c'))]],
    ['are a program', ['RUN <<E', '#!/bin/x', 'E'], [run({ form: 'script', name: 'E', text: '#!/bin/x\n' })]],
    ['lose their tabs', ['RUN <<-E', '\ta', '\t\tb', '\tE'], [run(shell('a\nb\n'))]],
    [
      'go to the shell',
      ['RUN cat <<A >x && cat <<B', 'a', 'A', 'b', 'B'],
      [run(shell('cat <<A >x && cat <<B\na\nA\nb\nB'))],
    ],
    ['are read by a command behind them', ['RUN <<A sh > /x', 'a', 'A'], [run(shell('<<A sh > /x\na\nA'))]],
    ['have descriptors', ['RUN cat 3<<A', 'a', 'A'], [run(shell('cat 3<<A\na\nA'))]],
    ['are none in quotes', ['RUN echo "<<A"'], [run(shell('echo "<<A"'))]],
    ['are none when they are strings', ['RUN cat <<<a'], [run(shell('cat <<<a'))]],
    ['are none in JSON', ['RUN ["a", "<<EOF"]'], [run(exec('a', '<<EOF'))]],
    [
      'are files',
      ['COPY <<a <<"b" c /d/', '$x', 'a', '$y', 'b'],
      [copy({ sources: [heredoc('a', '$x\n'), heredoc('b', '$y\n', false), ...paths('c')], destination: '/d/' })],
    ],
    [
      'are files without tabs',
      ['COPY <<-a /d', '\tx', '\ta'],
      [copy({ sources: [heredoc('a', 'x\n', true, '\tx\n')], destination: '/d' })],
    ],
    ['may be empty', ['COPY <<a /d', 'a'], [copy({ sources: [heredoc('a', '')], destination: '/d' })]],
    [
      'keep the line ends of Windows',
      ['COPY <<a /d', 'x\r', 'a\r'],
      [copy({ sources: [heredoc('a', 'x\r\n')], destination: '/d' })],
    ],
    [
      'wait for ONBUILD',
      ['ONBUILD RUN <<A', 'x', 'A'],
      [{ kind: 'onbuild', instruction: run(shell('x\n')), trigger: 'RUN <<A\nx\nA' }],
    ],
  ])('%s', (_name, lines, expected) => {
    expect(read(...lines)).toEqual(expected);
  });
});

describe('stages', () => {
  it('have names, platforms and arguments before them', () => {
    const text =
      'ARG V=12\nFROM --platform=$BUILDPLATFORM debian:$V AS Base\nRUN a\nFROM base\nCOPY --from=BASE /x /y\nCOPY --from=0 /x /y\nCOPY --from=busybox /x /y';
    const { globalArgs, stages } = parseDockerfile(text, 'D');
    expect(plain(globalArgs)).toEqual([{ kind: 'arg', args: [{ name: 'V', value: '12' }] }]);
    expect(
      stages.map(({ index, name, base, platform, instructions }) => [
        index,
        name,
        base.text,
        platform?.text,
        instructions.length,
      ]),
    ).toEqual([
      [0, 'base', 'debian:$V', '$BUILDPLATFORM', 1],
      [1, undefined, 'base', undefined, 3],
    ]);
  });
});

describe('what is wrong is shown with its place', () => {
  it('as a line with a caret', () => {
    expect(fault('FROM a\n  RUNN x')).toBe(
      ['Dockerfile:2:3: there is no instruction "RUNN"; did you mean RUN?', '2 |   RUNN x', '  |   ^'].join('\n'),
    );
  });

  it('with what a terminal would obey made visible', () => {
    expect(fault('FROM a\nCOPPY \u001b[31mx\u202e')).toContain('2 | COPPY \uFFFD[31mx\uFFFD\n  | ^');
  });

  it('around the caret when the line is long', () => {
    const message = fault(
      `FROM a\nCOPY --from=a ${'x'.repeat(500)} --y /${'z'.repeat(500)}\nCOPY ${'x '.repeat(300)}<<E`,
    );
    expect(
      Math.max(
        ...message
          .split('\n')
          .slice(1)
          .map((line) => line.length),
      ),
    ).toBeLessThan(120);
  });

  it.each<[string, string, string]>([
    ['', '1:1', 'there is no FROM'],
    ['# only a comment', '1:1', 'there is no FROM'],
    ['RUN a', '1:1', 'RUN is before the first FROM'],
    ['FROM', '1:1', 'FROM needs an image'],
    ['FROM a b', '1:8', '"b" stands where only AS can'],
    ['FROM a as', '1:8', 'AS needs a name'],
    ['FROM a as b c', '1:13', 'nothing can follow'],
    ['FROM a AS 1b', '1:11', 'begins with a letter'],
    ['FROM --plattform=x a', '1:6', 'FROM has no flag --plattform; did you mean --platform?'],
    ['FROM --platform a', '1:6', '--platform needs a value'],
    ['# escape=x\nFROM a', '1:10', 'the escape character is'],
    ['# escape=`\n# escape=`\nFROM a', '2:10', 'twice'],
    ['# syntax=evil/frontend\nFROM a', '1:10', 'not for docker/dockerfile'],
    ['FROM a\nFRON b', '2:1', 'did you mean FROM?'],
    ['FROM a\nXYZZY b', '2:1', 'there is no instruction "XYZZY"'],
    ['FROM a\nCOPY a', '2:6', 'needs a source and a destination (only "a" is there)'],
    ['FROM a\nCOPY', '2:1', 'COPY needs a source'],
    ['FROM a\nCOPY --chwon=1 a b', '2:6', 'COPY has no flag --chwon; did you mean --chown?'],
    ['FROM a\nCOPY --zzz=1 a b', '2:6', 'it has --chown'],
    ['FROM a\nCOPY --chown a b', '2:6', '--chown needs a value'],
    ['FROM a\nCOPY --chown=1 --chown=2 a b', '2:16', '--chown is there twice'],
    ['FROM a\nCOPY --link=yes a b', '2:13', '--link is true or false'],
    ['FROM a\nCOPY --from=$x a b', '2:13', '--from has no variables'],
    ['FROM a\nCOPY \\\n  --from=$x a b', '3:10', '--from has no variables'],
    ['FROM a\nCOPY --from=0 a b', '2:13', 'there is no stage before this one'],
    ['FROM a\nFROM b\nCOPY --from=2 a b', '3:13', 'there is no stage 2'],
    ['FROM a AS x\nCOPY --from=x a b', '2:13', 'cannot copy from itself'],
    ['FROM a\nCOPY --from=later a b\nFROM b AS later', '2:13', 'comes later (line 3)'],
    ['FROM a\nRUN --mount=from=later,target=/x a\nFROM b AS later', '2:13', 'comes later (line 3)'],
    ['FROM a\nCOPY a <<EOF\nEOF', '2:8', 'cannot be a here-document'],
    ['FROM a\nCOPY <<EOF a\nx', '2:6', 'never ends: a line with "EOF"'],
    ['FROM a\nRUN', '2:1', 'RUN needs a command'],
    ['FROM a\nRUN --network=hots a', '2:15', '--network is default, none or host'],
    ['FROM a\nRUN --security=insecure a', '2:16', 'no privileges'],
    ['FROM a\nRUN --device=x a', '2:14', 'no devices'],
    ['FROM a\nRUN [1]', '2:5', 'every item of the array must be a string'],
    ['FROM a\nRUN --mount=type=bnd,target=/x a', '2:13', 'did you mean bind?'],
    ['FROM a\nRUN --mount=type=tmpfs,target=/x,sharing=locked a', '2:13', 'tmpfs has no option "sharing"'],
    ['FROM a\nRUN --mount=type=cache a', '2:13', 'needs target=PATH'],
    ['FROM a\nRUN --mount=type=cache,target=/c,mode=9 a', '2:13', '"9" cannot be the mode'],
    ['FROM a\nRUN --mount=type=tmpfs,target=/c,size=x a', '2:13', 'is no size'],
    ['FROM a\nRUN --mount=type=secret a', '2:13', 'a secret needs an id'],
    ['FROM a\nRUN --mount=target=/x,from=$y a', '2:13', 'from= has no variables'],
    ['FROM a\nENV', '2:1', 'ENV needs name=value'],
    ['FROM a\nENV a', '2:5', 'ENV needs a value: a=…'],
    ['FROM a\nENV a=1 b', '2:9', '"b" is not name=value'],
    ['FROM a\nENV =1', '2:5', 'a name is missing'],
    ['FROM a\nARG', '2:1', 'ARG needs a name'],
    ['FROM a\nARG =1', '2:5', 'a name is missing'],
    ['FROM a\nSHELL /bin/sh', '2:7', 'SHELL wants a JSON array'],
    ['FROM a\nSHELL []', '2:7', 'SHELL wants a JSON array'],
    ['FROM a\nVOLUME [""]', '2:10', 'its name is empty'],
    ['FROM a\nUSER', '2:1', 'USER needs a user'],
    ['FROM a\nEXPOSE', '2:1', 'EXPOSE needs a port'],
    ['FROM a\nHEALTHCHECK', '2:1', 'HEALTHCHECK needs NONE'],
    ['FROM a\nHEALTHCHECK CMD', '2:13', 'CMD needs a command'],
    ['FROM a\nHEALTHCHECK curl', '2:13', 'followed by CMD or NONE'],
    ['FROM a\nHEALTHCHECK NONE a', '2:13', 'no arguments'],
    ['FROM a\nHEALTHCHECK --interval=3 CMD a', '2:24', 'a time such as 30s'],
    ['FROM a\nHEALTHCHECK --interval=1ns CMD a', '2:24', 'at least 1ms'],
    ['FROM a\nHEALTHCHECK --retries=-1 CMD a', '2:23', '0 or more'],
    ['FROM a\nONBUILD', '2:1', 'ONBUILD needs an instruction'],
    ['FROM a\nONBUILD ONBUILD RUN a', '2:9', 'cannot be given to ONBUILD'],
    ['FROM a\nONBUILD FROM b', '2:9', 'FROM cannot be given to ONBUILD'],
    ['FROM a\nONBUILD CPY a b', '2:9', 'did you mean COPY?'],
    ['FROM a\nUSER --x y', '2:6', 'USER has no flags'],
  ])('%j', (text, place, message) => {
    const said = fault(text);
    expect(said).toContain(message);
    expect(said).toMatch(new RegExp(`^Dockerfile:${place}: `));
  });
});

describe('warnings', () => {
  it.each<[string, string, string]>([
    ['FROM a\nMAINTAINER me', 'MaintainerDeprecated', '2:1'],
    ['FROM a\nRUN a\nrun b', 'ConsistentInstructionCasing', '3:1'],
    ['FROM a as b', 'FromAsCasing', '1:8'],
    ['FROM a AS B', 'StageNameCasing', '1:11'],
    ['FROM a AS b\nFROM c AS b', 'DuplicateStageName', '2:1'],
    ['FROM a AS scratch', 'ReservedStageName', '1:1'],
    ['FROM a\nENV a b', 'LegacyKeyValueFormat', '2:5'],
    ["FROM a\nCMD ['a', 'b']", 'InvalidJSON', '2:5'],
    ['FROM a\nRUN a \\\n\n b', 'NoEmptyContinuation', '3:1'],
    ['FROM a\nCMD a\nCMD b', 'MultipleInstructionsDisallowed', '2:1'],
    ['FROM a\nENV API_TOKEN=x', 'SecretsUsedInArgOrEnv', '2:5'],
    ['FROM a AS build\nFROM b\nCOPY --from=biuld a b', 'NearStageName', '3:13'],
  ])('%j', (text, rule, place) => {
    const { warnings } = parseDockerfile(text, 'D');
    expect(warnings.map((warning) => `${warning.rule} ${warning.at.line}:${warning.at.column}`)).toEqual([
      `${rule} ${place}`,
    ]);
    expect(parseDockerfile(`# check=skip=${rule}\n${text}`, 'D').warnings).toEqual([]);
    expect(parseDockerfile(`# check=skip=all\n${text}`, 'D').warnings).toEqual([]);
  });

  it('there are none for what is well', () => {
    const text =
      'FROM a AS b\nENV PUBLIC_KEY=x a=1\nRUN [ -f x ] && y\nCMD ["a"]\nFROM b\nCMD []\nCOPY --from=busybox a b';
    expect(parseDockerfile(text, 'D').warnings).toEqual([]);
  });
});

describe('what is copied at each step, or stands on each other, is bounded', () => {
  it.each([
    ['stages', 'FROM a\n'.repeat(1001), '1001:1: there are more than 1000 stages'],
    ['instructions', `FROM a\n${'USER b\n'.repeat(10_001)}`, '10002:1: there are more than 10000 instructions'],
    ['variables', `FROM a\n${'ENV a=b\n'.repeat(5001)}`, '5002:1: there are more than 10000 instructions'],
    ['labels', `FROM a\nLABEL ${'a=b '.repeat(10_000)}`, '2:1: there are more than 10000 instructions'],
    ['arguments before the first stage', `ARG ${'a '.repeat(10_000)}\nFROM a\n`, '1:1: there are more than 10000'],
  ])('%s', (_, text, message) => {
    expect(() => parseDockerfile(text, 'Dockerfile')).toThrow(message);
  });

  it('and a thousand stages, each on the one before, are a build like any other', () => {
    const text = `FROM scratch AS s0\n${Array.from({ length: 999 }, (_, i) => `FROM s${i} AS s${i + 1}\n`).join('')}`;
    expect(parseDockerfile(text, 'Dockerfile').stages).toHaveLength(1000);
  });
});
