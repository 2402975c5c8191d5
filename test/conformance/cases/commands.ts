/** The command line itself: global options, logs that engines parse, spec, features, version. runc's man pages; features.md. */
import { deepEqual, equal, match, notEqual, ok as truthy } from 'node:assert/strict';
import { chownSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOT_THERE, ok, refused } from '../container.js';
import { suite } from '../suite.js';

interface Features {
  readonly ociVersionMin: string;
  readonly ociVersionMax: string;
  readonly hooks: string[];
  readonly mountOptions: string[];
  readonly linux: {
    readonly namespaces: string[];
    readonly capabilities: string[];
    readonly cgroup: Record<string, boolean>;
    readonly seccomp: {
      readonly enabled: boolean;
      readonly actions: string[];
      readonly operators: string[];
      readonly archs: string[];
    };
  };
}

export const commands = suite('commands', (it) => {
  it(
    'an error is one JSON object a line in the log',
    'runc --log-format json; containerd reads it',
    async ({ bench, folder }) => {
      const log = join(folder(), 'log.json');
      refused(await bench.oci(['--log', log, '--log-format', 'json', 'state', 'nobody']));
      const lines = readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>);
      const last = lines.at(-1) as Record<string, string>;
      deepEqual([last.level, typeof last.time], ['error', 'string']);
      match(last.msg ?? '', NOT_THERE);
    },
  );

  it('an error is a line of text in the log', 'runc --log', async ({ bench, folder }) => {
    const log = join(folder(), 'log');
    refused(await bench.oci(['--log', log, 'state', 'nobody']));
    match(readFileSync(log, 'utf8'), /^time="[^"]+" level=error msg=".*does not exist.*"\n$/);
  });

  it('without a log an error in JSON is a line of standard error', 'runc --log-format json', async ({ bench }) => {
    const ran = await bench.oci(['--log-format', 'json', 'state', 'nobody']);
    refused(ran);
    const { level, msg, time } = JSON.parse(ran.stderr) as Record<string, string>;
    deepEqual([level, typeof time], ['error', 'string']);
    match(msg ?? '', NOT_THERE);
  });

  it('an option with an empty text is not given', 'runc: context.String is empty', async ({ container }) => {
    const it = container();
    it.save();
    const empty = (...names: string[]) => names.flatMap((name) => [name, '']);
    ok(await it.oci(['run', '-d', '-b', it.bundle, ...empty('--pid-file', '--console-socket'), it.id]));
    equal(
      ok(await it.exec(empty('--user', '--cwd', '--pid-file', '--console-socket', '--process'), ['id', '-u'])),
      '0\n',
    );
    const pid = await it.pid();
    ok(await it.kill('KILL'));
    equal(await it.bench.exitOf(pid), 137);
  });

  it('the log grows', 'runc --log: appended', async ({ bench, folder }) => {
    const log = join(folder(), 'log');
    for (let i = 0; i < 2; i++) refused(await bench.oci(['--log', log, 'state', 'nobody']));
    equal(readFileSync(log, 'utf8').trim().split('\n').length, 2);
  });

  it('--debug says more, in the log', 'runc --debug', async ({ container, folder }) => {
    const log = join(folder(), 'log');
    const it = container(undefined, { globals: ['--debug', '--log', log] });
    ok(await it.create());
    match(readFileSync(log, 'utf8'), /level=debug/);
  });

  it('an unknown log format is refused', 'runc --log-format', async ({ bench }) => {
    refused(await bench.oci(['--log-format', 'xml', 'list']), /log.format/);
  });

  it('--root keeps containers apart', 'runc --root', async ({ container, folder }) => {
    const [one, two] = [
      container(undefined, { id: 'same', root: folder() }),
      container(undefined, { id: 'same', root: folder() }),
    ];
    two.config.linux.cgroupsPath += '-two';
    await one.up();
    await two.up();
    notEqual(await one.pid(), await two.pid());
  });

  it('an unknown command and an unknown option are refused', 'runc', async ({ bench }) => {
    refused(await bench.oci(['nonsense']));
    refused(await bench.oci(['nonsense', '--help']));
    refused(await bench.oci(['list', '--nonsense']));
  });

  it(
    'the version has the program’s name and the specification’s version',
    'runc --version; dockerd parses it',
    async ({ bench }) => {
      const said = ok(await bench.run([bench.runtime.path, '--version']));
      match(said, /^\S+ (version )?\d+\.\d+\.\d+/);
      match(said, /^spec: 1\.\d+\.\d+/m);
    },
  );

  it('spec writes a config.json that runs', 'runc spec', async ({ bench, folder, container }) => {
    const made = folder();
    ok(await bench.oci(['spec', '--bundle', made]));
    const config = JSON.parse(readFileSync(join(made, 'config.json'), 'utf8')) as {
      process: { terminal: boolean; args: string[] };
      root: { readonly: boolean };
    };
    deepEqual([config.process.terminal, config.process.args, config.root.readonly], [true, ['sh'], true]);
    const it = container();
    config.process.terminal = false;
    config.process.args = ['echo', 'it runs'];
    it.save(JSON.stringify(config));
    equal(ok(await it.run()), 'it runs\n');
  });

  it('spec overwrites nothing', 'runc spec', async ({ bench, folder }) => {
    const made = folder();
    ok(await bench.oci(['spec', '-b', made]));
    refused(await bench.oci(['spec', '-b', made]), /exist/);
  });

  it('spec --rootless writes one for who is not root', 'runc spec --rootless', async ({ bench, folder }) => {
    const made = folder();
    ok(await bench.oci(['spec', '--rootless', '--bundle', made]));
    const config = JSON.parse(readFileSync(join(made, 'config.json'), 'utf8')) as {
      linux: { namespaces: { type: string }[]; uidMappings: unknown[] };
    };
    const types = config.linux.namespaces.map(({ type }) => type);
    truthy(types.includes('user') && !types.includes('network'));
    equal(config.linux.uidMappings.length, 1);
  });

  it('features says what the runtime knows', 'features.md, features-linux.md', async ({ bench }) => {
    const said = JSON.parse(ok(await bench.oci(['features']))) as Features;
    match(said.ociVersionMin, /^1\./);
    match(said.ociVersionMax, /^1\./);
    deepEqual([...said.hooks].sort(), [
      'createContainer',
      'createRuntime',
      'poststart',
      'poststop',
      'prestart',
      'startContainer',
    ]);
    for (const option of ['ro', 'rbind', 'nosuid', 'rslave', 'tmpcopyup', 'rro'])
      truthy(said.mountOptions.includes(option), option);
    for (const type of ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'])
      truthy(said.linux.namespaces.includes(type), type);
    truthy(said.linux.capabilities.includes('CAP_SYS_ADMIN'));
    deepEqual([said.linux.cgroup.v1, said.linux.cgroup.v2], [true, true]);
    equal(said.linux.seccomp.enabled, true);
    for (const action of ['SCMP_ACT_ERRNO', 'SCMP_ACT_NOTIFY'])
      truthy(said.linux.seccomp.actions.includes(action), action);
    truthy(said.linux.seccomp.operators.includes('SCMP_CMP_MASKED_EQ'));
    truthy(said.linux.seccomp.archs.includes('SCMP_ARCH_X86_64'));
  });

  it('--no-pivot and --no-new-keyring run too', 'runc create --no-pivot, --no-new-keyring', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['ls', '/'];
    });
    match(ok(await it.run(['--no-pivot', '--no-new-keyring'])), /^bin\n/);
  });

  it('a container has a session keyring of its own', 'runc: --no-new-keyring', async ({ sh }) => {
    match(await sh('grep -c . /proc/keys || true'), /^\d+\n$/);
  });

  it('nothing is left in the bundle', 'bundle.md', async ({ container, bench }) => {
    const it = await container().up();
    await it.end();
    ok(await it.delete());
    equal(ok(await bench.run(['ls', it.bundle])), 'config.json\nrootfs\n');
  });

  it('two hundred annotations and a long environment are no trouble', 'config.md', async ({ container }) => {
    const it = container((config) => {
      config.annotations = Object.fromEntries(
        Array.from({ length: 200 }, (_, i) => [`org.example.${i}`, 'x'.repeat(100)]),
      );
      config.process.env.push(`LONG=${'y'.repeat(100_000)}`);
      config.process.args = ['sh', '-c', 'printf %s "$LONG" | wc -c'];
    });
    equal(ok(await it.run()), '100000\n');
  });

  it('unknown fields are ignored', 'config.md, Extensibility', async ({ container }) => {
    const it = container((config) => {
      config.unknown = { of: 'the future' };
      config.linux.unknown = [1];
      config.process.unknown = null;
      config.process.args = ['true'];
    });
    ok(await it.run());
  });

  it('an ociVersion that is none is refused', 'config.md, ociVersion: SemVer', async ({ container }) => {
    const it = container((config) => {
      config.ociVersion = 'nonsense';
    });
    refused(await it.create(), /version/i);
  });

  it('a container of an unprivileged user is theirs', 'runc, rootless', async ({ container, bench, folder }) => {
    const root = folder();
    chownSync(root, 65534, 65534);
    const it = container(
      (config) => {
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => !['network', 'cgroup'].includes(type));
        config.linux.namespaces.push({ type: 'user' });
        config.linux.uidMappings = [{ containerID: 0, hostID: 65534, size: 1 }];
        config.linux.gidMappings = [{ containerID: 0, hostID: 65534, size: 1 }];
        config.linux.resources = {};
        config.linux.cgroupsPath = '';
        config.mounts = config.mounts.filter(({ destination }) => !['/sys', '/dev/pts'].includes(destination));
        config.process.args = ['sh', '-c', 'id -u; tr -s " " < /proc/self/uid_map; echo x > /dev/null'];
      },
      { root, uid: 65534 },
    );
    ok(await bench.run(['chown', '-R', '65534:65534', it.bundle]));
    it.save();
    equal(ok(await it.run([], { env: { XDG_RUNTIME_DIR: root, HOME: root } })), '0\n 0 65534 1\n');
  });
});
