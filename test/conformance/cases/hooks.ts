/** Hooks: their order, where they run, what they are given, and what becomes of the container when they fail. config.md, POSIX-platform Hooks. */
import { deepEqual, equal, match, notEqual, ok as truthy } from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestConfig, TestHook } from '../config.js';
import { type Container, NOT_THERE, ok, refused } from '../container.js';
import { type Scene, suite } from '../suite.js';
import { until } from '../until.js';

const ALL = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];

export const hooks = suite('hooks', (it) => {
  it('run in the order of the specification', 'runtime.md, Lifecycle', async (scene) => {
    const { it, log } = await logging(scene, ALL);
    ok(await it.create());
    deepEqual(log(), ['prestart', 'createRuntime', 'createContainer']);
    const pid = await it.pid();
    ok(await it.start());
    deepEqual(log(), ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart']);
    equal(await it.bench.exitOf(pid), 0);
    ok(await it.delete());
    deepEqual(log(), ALL);
  });

  it('of one kind run in the order of the list', 'config.md, hooks: in the listed order', async (scene) => {
    const { it, log } = await logging(scene, [], (config, hook) => {
      config.hooks = { createRuntime: [hook('first'), hook('second'), hook('third')] };
    });
    ok(await it.create());
    deepEqual(log(), ['first', 'second', 'third']);
  });

  it('run once each, also for run', 'runtime.md, Lifecycle', async (scene) => {
    const { it, log } = await logging(scene, ALL);
    ok(await it.run());
    deepEqual(log(), ALL);
  });

  for (const name of ALL) {
    it(
      `${name} gets the state on its standard input`,
      'config.md, hooks: the state MUST be passed over stdin',
      async (scene) => {
        const { it, shared } = await logging(scene, []);
        const inside = name === 'startContainer';
        const file = inside ? '/shared/state' : join(shared, 'state');
        // Long enough to be seen running by poststart, however late that comes.
        if (name === 'poststart')
          it.config.process.args = ['sh', '-c', 'until [ -s /shared/state ]; do sleep 0.02; done'];
        it.config.annotations = { 'org.example': 'hooked' };
        it.config.hooks = { [name]: [{ path: '/bin/sh', args: ['sh', '-c', `cat > ${file}`] }] };
        ok(await it.run());
        const state = JSON.parse(readFileSync(join(shared, 'state'), 'utf8')) as Record<string, unknown>;
        const status = { poststart: 'running', poststop: 'stopped', startContainer: 'created' }[name] ?? 'creating';
        deepEqual([state.id, state.bundle, state.annotations], [it.id, it.bundle, { 'org.example': 'hooked' }]);
        match(String(state.ociVersion), /^1\./);
        equal(state.status, status);
        if (name !== 'poststop') truthy(Number(state.pid) > 0);
      },
    );
  }

  it(
    'have their own arguments and environment, and nothing of the runtime’s',
    'config.md, hooks: args, env',
    async (scene) => {
      const { it, shared } = await logging(scene, []);
      it.config.hooks = {
        createRuntime: [
          {
            path: '/bin/sh',
            args: [
              'argv0',
              '-c',
              `{ echo "$0 $1"; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort; } > ${shared}/got`,
              'zero',
              'one',
            ],
            env: ['A=b', 'C=d'],
          },
        ],
      };
      ok(await it.create([], { env: { LEAKED: 'yes' } }));
      equal(readFileSync(join(shared, 'got'), 'utf8'), 'zero one\nA=b\nC=d\n');
    },
  );

  it('without an environment of their own they have the runtime’s', 'runc, crun: PATH', async (scene) => {
    const names = ['prestart', 'createRuntime', 'poststart', 'poststop'];
    const { it, shared } = await logging(scene, []);
    it.config.hooks = Object.fromEntries(
      names.map((name) => [name, [{ path: '/bin/sh', args: ['sh', '-c', `echo "$PASSED" > ${shared}/${name}`] }]]),
    );
    ok(await it.run([], { env: { PASSED: 'on' } }));
    for (const name of names) equal(readFileSync(join(shared, name), 'utf8'), 'on\n', name);
  });

  it(
    'prestart and createRuntime run in the namespaces of the runtime',
    'config.md, hooks: runtime namespace',
    async (scene) => {
      for (const name of ['prestart', 'createRuntime', 'poststart', 'poststop']) {
        const { it, shared } = await logging(scene, []);
        it.config.hooks = {
          [name]: [{ path: '/bin/sh', args: ['sh', '-c', `readlink /proc/self/ns/mnt > ${shared}/got`] }],
        };
        ok(await it.run());
        equal(readFileSync(join(shared, 'got'), 'utf8'), `${scene.bench.namespace(1, 'mnt')}\n`, name);
      }
    },
  );

  it(
    'createRuntime finds the namespaces made, and not yet the root',
    'config.md, createRuntime: before pivot_root',
    async (scene) => {
      const { it, shared } = await logging(scene, []);
      const script = `pid=$(sed 's/.*"pid": *\\([0-9]*\\).*/\\1/'); readlink /proc/$pid/ns/net > ${shared}/net; cat /proc/$pid/root${shared}/marker > ${shared}/seen`;
      writeFileSync(join(shared, 'marker'), 'of the host');
      it.config.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', script] }] };
      it.config.mounts = it.config.mounts.filter(({ destination }) => destination !== '/shared');
      ok(await it.create());
      equal(readFileSync(join(shared, 'net'), 'utf8'), `${scene.bench.namespace(await it.pid(), 'net')}\n`);
      equal(readFileSync(join(shared, 'seen'), 'utf8'), 'of the host');
    },
  );

  it(
    'createContainer runs in the mount namespace of the container, with a path of the runtime’s',
    'config.md, createContainer',
    async (scene) => {
      const { it, shared } = await logging(scene, []);
      it.config.hooks = {
        createContainer: [
          {
            path: '/bin/sh',
            args: [
              'sh',
              '-c',
              `readlink /proc/self/ns/mnt > ${shared}/got; cat /proc/self/mountinfo > ${shared}/mounts`,
            ],
          },
        ],
      };
      ok(await it.create());
      equal(readFileSync(join(shared, 'got'), 'utf8'), `${scene.bench.namespace(await it.pid(), 'mnt')}\n`);
      // After the mounts, before pivot_root: the container's mounts are seen below its rootfs.
      match(readFileSync(join(shared, 'mounts'), 'utf8'), new RegExp(` ${it.rootfs}/dev/pts `));
    },
  );

  it('startContainer runs in the container, as its programs see it', 'config.md, startContainer', async (scene) => {
    const { it } = await logging(scene, []);
    it.config.hooks = {
      startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'hostname > /shared/got; ls / > /shared/root'] }],
    };
    ok(await it.create());
    const file = join(it.bundle, 'shared/got');
    equal(existsSync(file), false);
    ok(await it.start());
    // Not every runtime waits in start until it has ended: what it wrote last is there when the program runs.
    const root = join(it.bundle, 'shared/root');
    await until(() => existsSync(root) && readFileSync(root, 'utf8') !== '');
    equal(readFileSync(file, 'utf8'), 'conformance\n');
    match(readFileSync(root, 'utf8'), /^bin\ndev\netc\n/);
  });

  it('startContainer has the environment of the program, unless it is given its own', 'runc', async (scene) => {
    const { it } = await logging(scene, []);
    it.config.process.env = ['PATH=/bin', 'ONE=two'];
    const args = ['sh', '-c', 'echo "$ONE $HOME" >> /shared/got'];
    it.config.hooks = {
      startContainer: [
        { path: '/bin/sh', args },
        { path: '/bin/sh', args, env: ['PATH=/bin', 'HOME=/its/own'] },
      ],
    };
    ok(await it.run());
    equal(readFileSync(join(it.bundle, 'shared/got'), 'utf8'), 'two /root\n /its/own\n');
  });

  for (const name of ['prestart', 'createRuntime', 'createContainer']) {
    it(
      `a ${name} that fails ends create, and leaves nothing`,
      'config.md, hooks: error; runtime.md, Lifecycle 4-6',
      async (scene) => {
        const { it } = await logging(scene, []);
        it.config.hooks = { [name]: [{ path: '/bin/sh', args: ['sh', '-c', 'echo broken hook >&2; exit 3'] }] };
        refused(await it.create(), /hook/);
        refused(await it.oci(['state', it.id]), NOT_THERE);
        deepEqual(
          it.bench.world.contents().cgroups.filter((path) => path.endsWith(`/${it.id}`)),
          [],
        );
      },
    );
  }

  it('a startContainer that fails ends start', 'runtime.md, Lifecycle 8', async (scene) => {
    const { it } = await logging(scene, []);
    it.config.process.args = ['sh', '-c', 'echo ran > /shared/ran'];
    it.config.hooks = { startContainer: [{ path: '/bin/false' }] };
    ok(await it.create());
    const pid = await it.pid();
    refused(await it.start());
    notEqual(await it.bench.exitOf(pid), 0);
    equal(existsSync(join(it.bundle, 'shared/ran')), false);
    equal(await it.status(), 'stopped');
  });

  it('a poststart that fails is a warning', 'runtime.md, Lifecycle 10: log a warning, but continue', async (scene) => {
    const { it, log } = await logging(scene, [], (config, hook) => {
      config.process.args = ['sleep', '1000'];
      config.hooks = { poststart: [{ path: '/bin/false' }, hook('next')] };
    });
    ok(await it.create());
    const started = await it.start();
    equal(started.status, 0, started.stderr);
    match(started.stderr, /poststart|hook/);
    equal(await it.status(), 'running');
    deepEqual(log(), ['next']);
  });

  it('a poststop that fails is a warning', 'runtime.md, Lifecycle 13: log a warning, but continue', async (scene) => {
    const { it, log } = await logging(scene, [], (config, hook) => {
      config.process.args = ['sleep', '1000'];
      config.hooks = { poststop: [{ path: '/bin/false' }, hook('next')] };
    });
    await it.up();
    await it.end();
    const deleted = await it.delete();
    equal(deleted.status, 0, deleted.stderr);
    match(deleted.stderr, /poststop|hook/);
    deepEqual(log(), ['next']);
    refused(await it.oci(['state', it.id]), NOT_THERE);
  });

  it('delete --force runs poststop', 'runtime.md, delete', async (scene) => {
    const { it, log } = await logging(scene, ['poststop'], (config) => {
      config.process.args = ['sleep', '1000'];
    });
    await it.up();
    ok(await it.delete('--force'));
    deepEqual(log(), ['poststop']);
  });

  it('one that lasts longer than its timeout is killed, and has failed', 'config.md, hooks: timeout', async (scene) => {
    const { it } = await logging(scene, []);
    it.config.hooks = { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '1001'], timeout: 1 }] };
    refused(await it.create(), /hook/);
    equal((await scene.bench.run(['pgrep', '-f', '^sleep 1001$'])).stdout, '');
  });

  it('a timeout of 0 or less is refused', 'config.md, hooks: timeout MUST be greater than zero', async (scene) => {
    for (const timeout of [0, -1]) {
      const { it } = await logging(scene, []);
      it.config.hooks = { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '2'], timeout }] };
      refused(await it.create(), /timeout/);
    }
  });

  it('one that is not there ends create', 'config.md, hooks: path', async (scene) => {
    const { it } = await logging(scene, []);
    it.config.hooks = { prestart: [{ path: '/no/such/hook' }] };
    refused(await it.create(), /hook|no such file/i);
  });

  it('a path must be absolute', 'config.md, hooks: path MUST be absolute', async (scene) => {
    const { it } = await logging(scene, []);
    it.config.hooks = { createRuntime: [{ path: 'bin/true' }] };
    refused(await it.create());
  });
});

/** A container with a folder that it shares with the host, and hooks that each write their name into the log there. */
async function logging(
  { container }: Scene,
  names: readonly string[],
  edit?: (config: TestConfig, hook: (name: string) => TestHook) => void,
) {
  const it: Container = container();
  const shared = join(it.bundle, 'shared');
  mkdirSync(shared);
  chmodSync(shared, 0o777);
  it.config.process.args = ['true'];
  it.config.mounts.push({ destination: '/shared', type: 'bind', source: shared, options: ['rbind'] });
  const hook = (name: string): TestHook => {
    const folder = name === 'startContainer' ? '/shared' : shared;
    return { path: '/bin/sh', args: ['sh', '-c', `echo ${name} >> ${folder}/log`] };
  };
  it.config.hooks = Object.fromEntries(names.map((name) => [name, [hook(name)]]));
  edit?.(it.config, hook);
  const log = () =>
    existsSync(join(shared, 'log')) ? readFileSync(join(shared, 'log'), 'utf8').trim().split('\n') : [];
  return { it, shared, log };
}
