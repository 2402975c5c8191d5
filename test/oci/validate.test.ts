import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import { checkConfig, loadBundle, parseConfig } from '../../runtime/oci/index.js';
import { minimal, withField } from './minimal.js';

function error(act: () => unknown): TareError {
  try {
    act();
  } catch (caught) {
    if (caught instanceof TareError) return caught;
    throw caught;
  }
  throw new Error('nothing was thrown');
}

describe('a config.json', () => {
  it.each(['1.0.0', '1.0.2-dev', '1.1.0+dev', '1.2.1', '1.3.0', '1.3.0-rc.1+dev', '1.99.0+build', '0.5.0-dev'])(
    'of version %s is accepted',
    (version) => {
      expect(checkConfig({ ...minimal(), ociVersion: version })).toMatchObject({ faults: [] });
    },
  );

  it.each(['2.0.0', '10.0.0', '1', '1.0', '1.0.0.0', '01.0.0', 'v1.0.0', '1.0.0-', '1.0.0 ', '1.0.0\n', ''])(
    'of version %j is refused',
    (version) => {
      expect(error(() => parseConfig(JSON.stringify({ ...minimal(), ociVersion: version })))).toMatchObject({
        code: 'config',
        path: 'ociVersion',
      });
    },
  );

  it('may have fields that nobody knows, and null for what is not there', () => {
    const config = parseConfig(JSON.stringify({ ...minimal(), somethingNew: { a: 1 }, mounts: null, hooks: null }));
    expect(config).not.toHaveProperty('somethingNew');
    expect(config.mounts).toBeUndefined();
  });

  it.each<[string, unknown, string]>([
    ['process.user.uid', 2 ** 32, 'process.user.uid must be from 0 to 2147483647, not 4294967296'],
    ['process.user.uid', 2 ** 32 - 1, 'process.user.uid must be from 0 to 2147483647'],
    ['process.user.uid', -1, 'process.user.uid must be from 0 to'],
    ['process.user.uid', 'root', 'process.user.uid must be an integer, not "root"'],
    ['process.user.gid', 1.5, 'process.user.gid must be an integer'],
    ['process.cwd', 'relative', 'process.cwd must be an absolute path'],
    ['process.args', [], 'process.args must hold at least the program'],
    ['process.args', ['a\0b'], 'process.args[0] must not contain a NUL byte'],
    ['process.env', ['A=1', 'nothing'], 'process.env[1] must be NAME=value'],
    ['process.terminal', 'yes', 'process.terminal must be true or false'],
    ['process.rlimits', [{ type: 'RLIMIT_NOFILE', soft: 2, hard: 1 }], 'process.rlimits[0].soft must not be above'],
    ['process.oomScoreAdj', 1001, 'process.oomScoreAdj must be from -1000 to 1000'],
    ['root', 'rootfs', 'root must be an object'],
    ['root.path', undefined, 'root.path is missing'],
    ['mounts', [{ type: 'proc' }], 'mounts[0].destination is missing'],
    [
      'mounts',
      [{ destination: '/', type: 'tmpfs' }],
      'mounts[0].destination must be below the root, not "/", the root',
    ],
    ['mounts', [{ destination: '/x/../.', type: 'tmpfs' }], 'mounts[0].destination must be below the root'],
    ['root.path', '', 'root.path must not be empty'],
    [
      'linux.seccomp',
      { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' }] },
      'linux.seccomp.syscalls[0].action is SCMP_ACT_NOTIFY, which needs linux.seccomp.listenerPath',
    ],
    [
      'linux.seccomp',
      { defaultAction: 'SCMP_ACT_NOTIFY' },
      'linux.seccomp.defaultAction is SCMP_ACT_NOTIFY, which needs linux.seccomp.listenerPath',
    ],
    [
      'linux.rootfsPropagation',
      'both',
      'linux.rootfsPropagation must be one of shared, slave, private, unbindable, rshared, rslave, rprivate, runbindable, not "both"',
    ],
    ['linux.namespaces', [{ type: 'mount' }, { type: 'cpu' }], 'linux.namespaces[1].type must be one of mount, pid'],
    ['linux.namespaces', [{ type: 'mount' }, { type: 'mount' }], 'linux.namespaces[1].type names mount a second time'],
    ['linux.namespaces', [{ type: 'user' }], 'linux.uidMappings is missing'],
    ['linux.uidMappings', [{ containerID: 0, hostID: 0, size: 1 }], 'linux.uidMappings needs a user namespace'],
    ['linux.cgroupsPath', '/a/../..', 'linux.cgroupsPath must not contain ..'],
    ['linux.maskedPaths', ['proc/kcore'], 'linux.maskedPaths[0] must be an absolute path'],
    ['linux.resources', { devices: [{ allow: true, access: 'x' }] }, 'linux.resources.devices[0].access is made of'],
    ['linux.devices', [{ type: 'c', path: '/dev/x' }], 'linux.devices[0] must have major and minor'],
    ['hostname', 'x'.repeat(65), 'hostname has at most 64 characters'],
  ])('with %s = %j is refused by that path', (path, value, sentence) => {
    const thrown = error(() => parseConfig(JSON.stringify(withField(path, value))));
    expect(thrown.code).toBe('config');
    expect(thrown.message).toContain(sentence);
    expect(thrown.message).not.toContain('\n');
  });

  it('that asks for nothing, with empty values, is fine', () => {
    const config = {
      ...minimal(),
      hooks: { prestart: [] },
      linux: { ...minimal().linux, mountLabel: '', intelRdt: null },
    };
    expect(checkConfig(config)).toMatchObject({ faults: [] });
  });

  it('with several faults names the first and counts the rest', () => {
    const config = { ...minimal(), root: 1, process: 2 };
    expect(error(() => parseConfig(JSON.stringify(config))).message).toMatch(
      /^config.json: root must be an object.*and 1 more fault/,
    );
  });

  it.each(['[]', 'null', '"x"', '7'])('that is %s is no object', (text) => {
    expect(error(() => parseConfig(text))).toMatchObject({
      code: 'config',
      message: `config.json: the document must be an object, not ${text}`,
    });
  });

  it.each(['', '{', '{"ociVersion": 1}'])('that is %j is refused', (text) => {
    expect(error(() => parseConfig(text)).code).toBe('config');
  });
});

describe('a bundle', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tare-bundle-'));
    mkdirSync(join(folder, 'empty'));
    mkdirSync(join(folder, 'good'));
    writeFileSync(join(folder, 'good/config.json'), JSON.stringify(minimal()));
    mkdirSync(join(folder, 'rootless'));
    writeFileSync(join(folder, 'rootless/config.json'), JSON.stringify({ ...minimal(), root: undefined }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('has its root file system relative to itself', () => {
    expect(loadBundle(join(folder, 'good')).rootfs).toBe(join(folder, 'good/rootfs'));
  });

  it.each(['empty', 'nowhere', 'good/config.json'])('%s without config.json is not found', (name) => {
    expect(error(() => loadBundle(join(folder, name)))).toMatchObject({ code: 'not-found' });
  });

  it.each<[string, (file: string) => unknown, string]>([
    ['a FIFO', (file) => execFileSync('mkfifo', [file]), 'it is not a regular file'],
    ['a link to a file without an end', (file) => symlinkSync('/dev/zero', file), 'it is not a regular file'],
    ['a directory', (file) => mkdirSync(file), 'it is not a regular file'],
    ['very large', (file) => writeFileSync(file, Buffer.alloc(2 ** 24 + 1, ' ')), 'it has more than 16777216 bytes'],
  ])('whose config.json is %s is refused', (name, make, why) => {
    const bundle = join(folder, name);
    mkdirSync(bundle);
    make(join(bundle, 'config.json'));
    const thrown = error(() => loadBundle(bundle));
    expect(thrown).toMatchObject({ code: 'config', message: `${bundle}/config.json cannot be read: ${why}` });
  });

  it('needs a root', () => {
    expect(error(() => loadBundle(join(folder, 'rootless')))).toMatchObject({ code: 'config', path: 'root' });
  });
});
