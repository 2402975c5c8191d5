/** What instructions do to an image's config: the expectation stands beside the Dockerfile. */
import { describe, expect, it } from 'vitest';
import { type ConfigInstruction, configure, type StageState } from '../../../runtime/image/build/configure.js';
import { parseDockerfile } from '../../../runtime/image/build/parse/index.js';
import { globalArgs, platformArgs, unusedArgs } from '../../../runtime/image/build/variables.js';

const AMD64 = { os: 'linux', architecture: 'amd64' };

function configured(text: string, args: Record<string, string> = {}, config: StageState['config'] = {}) {
  const dockerfile = parseDockerfile(text, 'Dockerfile');
  const given = new Map(Object.entries(args));
  const warnings: string[] = [];
  const circumstances = {
    source: dockerfile.source,
    escapeSign: dockerfile.directives.escape,
    given,
    globals: globalArgs(dockerfile, given, platformArgs(AMD64, { os: 'linux', architecture: 'arm', variant: 'v7' })),
    onWarning: (warning: string) => warnings.push(warning),
  };
  let state: StageState = { config, args: new Map(), hasCmd: false };
  const history: string[] = [];
  for (const instruction of dockerfile.stages.at(-1)?.instructions ?? []) {
    const result = configure(state, instruction as ConfigInstruction, circumstances);
    state = result.state;
    history.push(result.createdBy);
  }
  return { ...state, history, warnings, unused: unusedArgs(dockerfile, given) };
}

describe('an instruction', () => {
  it.each<[string, object]>([
    ['ENV A=1 B="two words"\nENV A=3', { Env: ['A=3', 'B=two words'] }],
    ['ENV A=1\nENV A=2 B=$A', { Env: ['A=2', 'B=1'] }],
    ['LABEL a=b "c d"="e f"', { Labels: { a: 'b', 'c d': 'e f' } }],
    ['CMD echo $HOME', { Cmd: ['/bin/sh', '-c', 'echo $HOME'] }],
    ['CMD ["a", "$b"]', { Cmd: ['a', '$b'] }],
    ['SHELL ["/bin/bash", "-c"]\nENTRYPOINT x', { Shell: ['/bin/bash', '-c'], Entrypoint: ['/bin/bash', '-c', 'x'] }],
    [
      'EXPOSE 80 53/udp 8000-8002',
      { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} } },
    ],
    [
      'EXPOSE 127.0.0.1:80:81 [::1]::82/udp 1-2:83-84',
      { ExposedPorts: { '81/tcp': {}, '82/udp': {}, '83/tcp': {}, '84/tcp': {} } },
    ],
    ['VOLUME ["/data"]\nVOLUME /a /b', { Volumes: { '/data': {}, '/a': {}, '/b': {} } }],
    ['WORKDIR /a\nWORKDIR b\nWORKDIR ../c', { WorkingDir: '/a/c' }],
    ['WORKDIR /a\nWORKDIR $NONE', { WorkingDir: '/a' }],
    ['USER nobody:nogroup', { User: 'nobody:nogroup' }],
    ['STOPSIGNAL SIGINT', { StopSignal: 'SIGINT' }],
    ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
    [
      'HEALTHCHECK --interval=5s --retries=2 CMD true',
      { Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5e9, Retries: 2 } },
    ],
    ['ONBUILD RUN make', { OnBuild: ['RUN make'] }],
  ])('%s', (text, config) => {
    expect(configured(`FROM scratch\n${text}`).config).toEqual(config);
  });

  it('ENTRYPOINT takes the CMD of the base away, but not that of its own stage', () => {
    const base = { Cmd: ['base'] };
    expect(configured('FROM x\nENTRYPOINT ["e"]', {}, base).config.Cmd).toBeUndefined();
    expect(configured('FROM x\nCMD ["c"]\nENTRYPOINT ["e"]', {}, base).config.Cmd).toEqual(['c']);
  });

  it.each([
    ['ARG A=1\nENV B=$A', {}, ['B=1']],
    ['ARG A=1\nENV B=$A', { A: '2' }, ['B=2']],
    ['ARG G\nENV B=$G', {}, ['B=global']],
    ['ARG G=own\nENV B=$G', {}, ['B=own']],
    ['ARG A=1\nENV A=env\nENV B=$A', { A: '2' }, ['A=env', 'B=env']],
    ['ARG A\nENV B=[$A]', {}, ['B=[]']],
    ['ARG A=1\nARG B=$A$A C=$B:3\nENV D=$C', {}, ['D=11:3']],
    ['ARG TARGETPLATFORM\nENV B=$TARGETPLATFORM', {}, ['B=linux/arm/v7']],
    ['ARG BUILDARCH\nENV B=$BUILDARCH', {}, ['B=amd64']],
  ])('%s with %j', (text, args, env) => {
    expect(configured(`ARG G=global\nFROM scratch\n${text}`, args as Record<string, string>).config.Env).toEqual(env);
  });

  it('a default before FROM is not looked at where a value is given', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is what is expanded
    const text = 'ARG A=${A:?missing}\nFROM scratch\nARG A\nENV B=$A';
    expect(configured(text, { A: '1' }).config.Env).toEqual(['B=1']);
    expect(() => configured(text)).toThrow('Dockerfile:1:7: A: missing');
  });

  it('warns of variables that are not set, and of arguments that nobody asks for', () => {
    const { warnings, unused } = configured('FROM scratch\nENV B=$NOBODY', { A: '1', HTTP_PROXY: 'x' });
    expect(warnings).toEqual(['Dockerfile:2:7: the variable NOBODY is used, and not set']);
    expect(configured('FROM scratch\nEXPOSE 80:81').warnings).toEqual([
      "Dockerfile:2:8: EXPOSE 80:81 names the container's port alone: the host's is for run --publish",
    ]);
    expect(unused).toEqual(['A']);
  });

  it.each([
    ['EXPOSE 0', 'Dockerfile:2:8: "0" is no port'],
    ['EXPOSE localhost:80:80', 'Dockerfile:2:8: "localhost:80:80" is no port'],
    ['EXPOSE a:80', 'Dockerfile:2:8: "a:80" is no port'],
    ['EXPOSE 80/ip', 'Dockerfile:2:8: "80/ip" is no port'],
    ['USER $NOBODY', 'Dockerfile:2:6: USER needs a user'],
    ['STOPSIGNAL nine', 'Dockerfile:2:12: "nine" is no signal'],
  ])('%s is refused', (text, message) => {
    expect(() => configured(`FROM scratch\n${text}`)).toThrow(message);
  });
});
