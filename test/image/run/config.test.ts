/** An image's configuration as config.json: what conversion.md says of each field, and what a hostile image may not say. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HEALTHCHECK } from '../../../runtime/image/run/annotations.js';
import { containerConfig, type RunSettings } from '../../../runtime/image/run/config.js';
import type { ExecutionConfig, ImageConfig } from '../../../runtime/oci/image/index.js';

const root = mkdtempSync(join(tmpdir(), 'tare-image-config-'));
beforeAll(() => {
  mkdirSync(join(root, 'etc'));
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv/web:/bin/sh\nodd:x:4294967296:0::/:\nhomeless:x:50:50:::\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nwheel:x:10:root,web\nweb:x:34:\nlog:x:90:other,web\n');
});
afterAll(() => rmSync(root, { recursive: true }));

const compile = (config: ExecutionConfig, settings: Partial<RunSettings> = {}, more: Partial<ImageConfig> = {}) =>
  containerConfig(
    {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [] },
      config: { Cmd: ['sh'], ...config },
      ...more,
    },
    { caller: { uid: 0, gid: 0 }, ...settings },
    root,
    '/rootfs',
  );

describe('the command', () => {
  it.each<[string, ExecutionConfig, Partial<RunSettings>, string[]]>([
    ['is Entrypoint and Cmd', { Entrypoint: ['/e', 'x'], Cmd: ['c'] }, {}, ['/e', 'x', 'c']],
    ['is Cmd alone', { Cmd: ['c', 'd'] }, {}, ['c', 'd']],
    ['is Entrypoint alone', { Entrypoint: ['/e'], Cmd: null }, {}, ['/e']],
    [
      'has words of who runs it in place of Cmd',
      { Entrypoint: ['/e'], Cmd: ['c'] },
      { command: ['a', 'b'] },
      ['/e', 'a', 'b'],
    ],
    ['has another entrypoint, and no Cmd then', { Entrypoint: ['/e'], Cmd: ['c'] }, { entrypoint: ['/o'] }, ['/o']],
    [
      'has another entrypoint with words',
      { Entrypoint: ['/e'], Cmd: ['c'] },
      { entrypoint: ['/o'], command: ['a'] },
      ['/o', 'a'],
    ],
    ['has no entrypoint but words', { Entrypoint: ['/e'], Cmd: ['c'] }, { entrypoint: [], command: ['a'] }, ['a']],
  ])('%s', (_, config, settings, args) => {
    expect(compile(config, settings).process?.args).toEqual(args);
  });

  it('is missing', () => {
    expect(() => compile({ Cmd: [] })).toThrow('the image names no command: give one after its name');
    expect(() => compile({ Cmd: ['c'] }, { entrypoint: [] })).toThrow('names no command');
  });
});

describe('the user', () => {
  it.each<[string, string | undefined, object]>([
    ['nobody named', undefined, { uid: 0, gid: 0, additionalGids: [0, 10] }],
    ['empty', '', { uid: 0, gid: 0, additionalGids: [0, 10] }],
    ['a name', 'web', { uid: 33, gid: 34, additionalGids: [34, 10, 90] }],
    ['the number of a name', '33', { uid: 33, gid: 34, additionalGids: [34, 10, 90] }],
    ['a name and a group', 'web:log', { uid: 33, gid: 90, additionalGids: [90] }],
    ['a number that nobody has', '4000', { uid: 4000, gid: 0, additionalGids: [0] }],
    ['numbers', '4000:5000', { uid: 4000, gid: 5000, additionalGids: [5000] }],
    ['a number and a group by name', '4000:wheel', { uid: 4000, gid: 10, additionalGids: [10] }],
  ])('%s', (_, User, user) => {
    expect(compile(User === undefined ? {} : { User }).process?.user).toEqual(user);
    if (User) expect(compile({ User: 'web' }, { user: User }).process?.user).toEqual(user);
  });

  it.each<[string, string]>([
    ['nobody-there', 'has no user "nobody-there"'],
    ['web:none', 'has no group "none"'],
    ['4294967296', 'an id is a number from 0 to'],
    ['-1', 'an id is a number from 0 to'],
    ['odd', 'has an id that is none'],
    ['a:b:c', 'must be UID[:GID] or NAME[:GROUP]'],
  ])('%s is refused', (User, sentence) => {
    expect(() => compile({ User })).toThrow(sentence);
  });

  it('of a user namespace of one user has no further groups', () => {
    const caller = { uid: 0, gid: 0, oneUser: true };
    expect(compile({}, { caller }).process?.user).toEqual({ uid: 0, gid: 0 });
    expect(() => compile({ User: 'web' }, { caller })).toThrow('user 33 and group 34, and the only one here is root');
    expect(compile({}, { caller }).mounts?.find(({ type }) => type === 'devpts')?.options).not.toContain('gid=5');
  });
});

describe('the environment', () => {
  it('is the image’s, with the values of who runs it, each variable once', () => {
    const { process } = compile(
      { Env: ['PATH=/image', 'A=1', 'B=2=3', 'A=4', 'EMPTY=', 'NAMED', '=none'], User: 'web' },
      { env: ['B=5', 'C=6'], hostname: 'box' },
    );
    expect(process?.env).toEqual(['PATH=/image', 'HOSTNAME=box', 'A=4', 'B=5', 'EMPTY=', 'NAMED=', 'C=6']);
  });

  it('has PATH where the image has none, and HOME only where somebody names it', () => {
    expect(compile({}).process?.env).toEqual(['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
    expect(compile({ Env: ['HOME=/own'] }).process?.env).toContain('HOME=/own');
  });
});

describe('other fields', () => {
  it('the working directory is absolute and within', () => {
    expect(compile({}).process?.cwd).toBe('/');
    expect(compile({ WorkingDir: '/a/b' }).process?.cwd).toBe('/a/b');
    expect(compile({ WorkingDir: 'a/../../b' }).process?.cwd).toBe('/b');
    expect(compile({ WorkingDir: '/a' }, { cwd: '/c' }).process?.cwd).toBe('/c');
  });

  it('facts and labels become annotations, and labels win', () => {
    const { annotations } = compile(
      {
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
        StopSignal: 'SIGQUIT',
        Labels: { a: 'b', 'org.opencontainers.image.author': 'label' },
        Healthcheck: { Test: ['CMD', 'true'], Interval: 5 },
      },
      {},
      { author: 'somebody', created: '2024-01-02T03:04:05Z', variant: 'v3' },
    );
    expect(annotations).toEqual({
      'org.opencontainers.image.os': 'linux',
      'org.opencontainers.image.architecture': 'amd64',
      'org.opencontainers.image.variant': 'v3',
      'org.opencontainers.image.author': 'label',
      'org.opencontainers.image.created': '2024-01-02T03:04:05Z',
      'org.opencontainers.image.stopSignal': 'SIGQUIT',
      'org.opencontainers.image.exposedPorts': '53/udp,80/tcp',
      a: 'b',
      [HEALTHCHECK]: '{"Test":["CMD","true"],"Interval":5}',
    });
  });

  it('no label changes what Tare does', () => {
    const { annotations } = compile({
      Labels: {
        'run.oci.keep_original_groups': '1',
        'org.systemd.property.ExecStart': "'x'",
        [HEALTHCHECK]: 'mine',
        '': 'x',
        kept: 'y',
      },
    });
    expect(Object.keys(annotations ?? {})).toEqual([
      'org.opencontainers.image.os',
      'org.opencontainers.image.architecture',
      'kept',
    ]);
  });

  it('a user namespace maps what it is told to', () => {
    const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const { linux, mounts } = compile({}, { idMappings: mappings });
    const few = compile({}, { idMappings: [{ containerID: 0, hostID: 100_000, size: 5 }] });
    const terminals = [mounts, few.mounts].map((all) => all?.find(({ type }) => type === 'devpts')?.options);
    expect(terminals.map((options) => options?.includes('gid=5'))).toEqual([true, false]);
    expect(linux?.namespaces?.[0]).toEqual({ type: 'user' });
    expect([linux?.uidMappings, linux?.gidMappings]).toEqual([mappings, mappings]);
  });

  it('users are looked for within the image', () => {
    const other = mkdtempSync(join(tmpdir(), 'tare-image-links-'));
    try {
      symlinkSync('/etc', join(other, 'etc'));
      const config = {
        architecture: 'amd64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [] },
        config: { Cmd: ['sh'], User: 'root' },
      } as const;
      expect(() => containerConfig(config, { caller: { uid: 0, gid: 0 } }, other, '/rootfs')).toThrow(
        'has no user "root"',
      );
    } finally {
      rmSync(other, { recursive: true });
    }
  });
});
