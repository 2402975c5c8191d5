/** create, start, state, kill, delete: what each does in its turn, and what it says out of turn. runtime.md of the specification. */
import { deepEqual, equal, match, notEqual, ok as truthy } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOT_THERE, ok, refused } from '../container.js';
import { PASSED_ON, signalled, telling } from '../signalled.js';
import { suite } from '../suite.js';
import { until } from '../until.js';

export const lifecycle = suite('lifecycle', (it) => {
  it('create makes everything but does not run the program', 'runtime.md, Lifecycle 1-6', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'echo ran > /ran; exec sleep 1000'];
    });
    ok(await it.create());
    equal(await it.status(), 'created');
    equal(existsSync(join(it.rootfs, 'ran')), false);
    notEqual(it.bench.namespace(await it.pid(), 'mnt'), it.bench.namespace(1, 'mnt'));
  });

  it('start runs the program in the process that create made', 'runtime.md, start', async ({ container, bench }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'echo ran > /ran; exit 7'];
    });
    ok(await it.create());
    const pid = await it.pid();
    ok(await it.start());
    equal(await bench.exitOf(pid), 7);
    equal(it.read('ran'), 'ran\n');
    equal(await it.status(), 'stopped');
  });

  it('the state says what the specification asks for', 'runtime.md, State', async ({ container, bench }) => {
    const it = container((config) => {
      config.annotations = { 'org.example.key': 'a value' };
    });
    ok(await it.create());
    const created = await it.state();
    match(created.ociVersion, /^1\.\d+\.\d+/);
    deepEqual(
      [created.id, created.status, created.bundle, created.annotations],
      [it.id, 'created', it.bundle, { 'org.example.key': 'a value' }],
    );
    ok(await it.start());
    const running = await it.state();
    deepEqual([running.status, running.pid], ['running', created.pid]);
    // runc does not wait until the program has taken its place.
    await until(() => bench.proc(running.pid, 'comm') === 'sleep\n');
    await it.end();
    equal((await it.state()).status, 'stopped');
  });

  it('the state of a stopped container has the pid 0', 'runc state', async ({ container }) => {
    const it = await container().up();
    await it.end();
    equal((await it.state()).pid, 0);
  });

  it('the state has when and by whom it was made', 'runc state: created, owner', async ({ container }) => {
    const it = await container().up();
    const { created, owner } = await it.state();
    truthy(Math.abs(Date.now() - Date.parse(created ?? '')) < 60_000, `created is ${created}`);
    equal(typeof owner, 'string');
  });

  it('no state is given of what does not exist', 'runtime.md, state', async ({ bench }) => {
    refused(await bench.oci(['state', 'nobody']), NOT_THERE);
  });

  for (const [command, ...more] of [
    ['start'],
    ['kill', 'KILL'],
    ['delete'],
    ['pause'],
    ['resume'],
    ['ps'],
    ['exec', 'true'],
    ['update', '--pids-limit', '9'],
    ['events', '--stats'],
  ]) {
    it(`${command} of what does not exist is refused`, 'runtime.md: error', async ({ bench }) => {
      const words =
        command === 'update'
          ? ['update', ...more, 'nobody']
          : command === 'events'
            ? ['events', ...more, 'nobody']
            : [command as string, 'nobody', ...more];
      refused(await bench.oci(words), NOT_THERE);
    });
  }

  it('delete --force of what does not exist is no error', 'runc delete --force', async ({ bench }) => {
    ok(await bench.oci(['delete', '--force', 'nobody']));
  });

  it('a second start is refused', 'runtime.md, start: not created is an error', async ({ container }) => {
    const it = await container().up();
    refused(await it.start(), /running|created/);
    equal(await it.status(), 'running');
  });

  it('a stopped container is not started', 'runtime.md, start: not created is an error', async ({ container }) => {
    const it = await container().up();
    await it.end();
    refused(await it.start(), /stopped/);
  });

  it('an id is given once', 'runtime.md, create: the id must be unique', async ({ container }) => {
    const it = await container().up();
    refused(await it.create(), /exist/);
    equal(await it.status(), 'running');
  });

  it('an id can be given again after delete', 'runtime.md, delete: the id may be used again', async ({ container }) => {
    const it = await container().up();
    await it.end();
    ok(await it.delete());
    refused(await it.oci(['state', it.id]), NOT_THERE);
    ok(await it.create());
    equal(await it.status(), 'created');
  });

  for (const id of ['', '../up', 'a/b', '.', '..', 'a b', 'a\nb']) {
    it(
      `the id ${JSON.stringify(id)} is refused`,
      'runc: letters, digits and _+-. only',
      async ({ container, bench }) => {
        const it = container();
        it.save();
        refused(await bench.oci(['create', '--bundle', it.bundle, '--', id]));
      },
    );
  }

  it('a bundle that is not there is refused', 'runtime.md, create', async ({ bench }) => {
    refused(await bench.oci(['create', '--bundle', '/nonexistent', 'x']));
    refused(await bench.oci(['state', 'x']), NOT_THERE);
  });

  it('a bundle without config.json is refused', 'bundle.md: config.json is required', async ({ bench, folder }) => {
    refused(await bench.oci(['create', '--bundle', folder(), 'x']), /config\.json/);
  });

  it('a config.json that is no JSON is refused', 'bundle.md', async ({ container }) => {
    const it = container();
    it.save('{ "ociVersion": ');
    refused(await it.create());
    refused(await it.oci(['state', it.id]), NOT_THERE);
  });

  it(
    'a rootfs that is not there is refused, and leaves nothing',
    'config.md, root.path: must exist',
    async ({ container }) => {
      const it = container((config) => {
        config.root.path = 'elsewhere';
      });
      refused(await it.create());
      refused(await it.oci(['state', it.id]), NOT_THERE);
    },
  );

  it('the working directory is the bundle unless it is named', 'runc create --bundle', async ({ container }) => {
    const it = container();
    it.save();
    ok(await it.oci(['create', it.id], { cwd: it.bundle }));
    equal((await it.state()).bundle, it.bundle);
  });

  it('a program that is not there is an error of start', 'runtime.md, start: error', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['/no/such/program'];
    });
    const created = await it.create();
    // Where the runtime looks for the program early, its refusal comes early.
    refused(created.status === 0 ? await it.start() : created, /no such file|not found/i);
  });

  it('a program that is not there leaves nothing of a run', 'runc run', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['nosuchprogram'];
    });
    refused(await it.run(), /nosuchprogram/);
    refused(await it.oci(['state', it.id]), NOT_THERE);
  });

  it('args may not be empty', 'config.md, process.args: at least one entry', async ({ container }) => {
    const it = container((config) => {
      config.process.args = [];
    });
    refused(await it.run(), /args/);
  });

  it('cwd must be absolute', 'config.md, process.cwd', async ({ container }) => {
    const it = container((config) => {
      config.process.cwd = 'tmp';
    });
    refused(await it.run(), /cwd|absolute/i);
  });

  it('a cwd that is missing is made', 'runc: cwd is created', async ({ sh }) => {
    equal(
      await sh('pwd', (config) => {
        config.process.cwd = '/made/for/this';
      }),
      '/made/for/this\n',
    );
  });

  it('run ends as its program ends', 'runc run', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'echo out; echo err >&2; exit 42'];
    });
    deepEqual(await it.run(), { status: 42, stdout: 'out\n', stderr: 'err\n' });
    refused(await it.oci(['state', it.id]), NOT_THERE);
  });

  it('run ends with 128 and the signal that killed its program', 'runc run', async ({ container, bench }) => {
    const it = container();
    it.save();
    const running = it.begin(['run', '--bundle', it.bundle, '--pid-file', join(it.bundle, 'pid'), it.id]);
    await until(() => existsSync(join(it.bundle, 'pid')));
    await until(async () => (await it.oci(['state', it.id])).stdout.includes('running'));
    ok(await it.kill('KILL'));
    equal((await running.ended).status, 137);
    refused(await bench.oci(['state', it.id]), NOT_THERE);
  });

  it('run passes on what it is sent', 'runc run: all signals that can be caught', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', telling(PASSED_ON)];
    });
    it.save();
    const running = it.begin(['run', '--bundle', it.bundle, it.id]);
    await signalled(it, `run --bundle ${it.bundle} ${it.id}$`, PASSED_ON);
    ok(await it.kill('KILL'));
    equal((await running.ended).status, 137);
  });

  it('run hands its input on', 'runc run', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['cat'];
    });
    equal(ok(await it.run([], { stdin: 'typed\n' })), 'typed\n');
  });

  it('run --detach leaves the container running', 'runc run --detach', async ({ container, bench }) => {
    const it = container();
    ok(await it.run(['--detach']));
    equal(await it.status(), 'running');
    const pid = await it.pid();
    ok(await it.kill('KILL'));
    equal(await bench.exitOf(pid), 137);
  });

  it('run --keep leaves a stopped container', 'runc run --keep (1.1)', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['true'];
    });
    ok(await it.run(['--keep']));
    equal(await it.status(), 'stopped');
    ok(await it.delete());
  });

  it('--pid-file holds the pid of process 1', 'runc create --pid-file', async ({ container }) => {
    const it = container();
    const file = join(it.bundle, 'pid');
    ok(await it.create(['--pid-file', file]));
    equal(readFileSync(file, 'utf8'), String(await it.pid()));
  });

  it(
    'a pid file that cannot be written is an error, and leaves nothing',
    'runc create --pid-file',
    async ({ container }) => {
      const it = container();
      refused(await it.create(['--pid-file', '/nonexistent/pid']));
      refused(await it.oci(['state', it.id]), NOT_THERE);
    },
  );

  it('a running container is not deleted', 'runtime.md, delete: not stopped is an error', async ({ container }) => {
    const it = await container().up();
    refused(await it.delete(), /running|stopped/);
    equal(await it.status(), 'running');
  });

  it('delete --force ends a running one', 'runc delete --force', async ({ container, bench }) => {
    const it = await container().up();
    const pid = await it.pid();
    ok(await it.delete('--force'));
    equal(await bench.exitOf(pid), 137);
    refused(await it.oci(['state', it.id]), NOT_THERE);
  });

  it('delete --force removes one that was only created', 'runc delete --force', async ({ container, bench }) => {
    const it = container();
    ok(await it.create());
    const pid = await it.pid();
    ok(await it.delete('--force'));
    equal(await bench.exitOf(pid), 137);
  });

  it('a created container is not deleted', 'runtime.md, delete: not stopped is an error', async ({ container }) => {
    const it = container();
    ok(await it.create());
    refused(await it.delete());
    equal(await it.status(), 'created');
  });

  it('delete removes the cgroups', 'runtime.md, delete: what create made', async ({ container, bench }) => {
    const it = await container().up();
    notEqual(bench.world.contents().cgroups.filter((path) => path.includes(`${it.id}`)).length, 0);
    await it.end();
    ok(await it.delete());
    deepEqual(
      bench.world.contents().cgroups.filter((path) => path.endsWith(`/${it.id}`)),
      [],
    );
  });

  it(
    'delete ends what is left in the cgroup',
    'runc delete: a container without a pid namespace',
    async ({ container, bench }) => {
      const it = container((config) => {
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'pid');
        config.process.args = ['sh', '-c', 'sleep 1000 & echo $! > /child; exec sleep 1000'];
      });
      ok(await it.run(['-d']));
      await until(() => existsSync(join(it.rootfs, 'child')));
      const child = Number(it.read('child'));
      await it.end();
      ok(await it.delete());
      equal(await bench.exitOf(child), 137);
    },
  );

  it('a world without containers lists none', 'runc list --quiet', async ({ bench, folder }) => {
    equal(ok(await bench.run([bench.runtime.path, '--root', folder(), 'list', '-q'])), '');
  });

  it('list has every container, as a table, as JSON and as ids', 'runc list', async ({ container, folder, bench }) => {
    const it = await container(undefined, { root: folder() }).up();
    const line = ok(await it.oci(['list']))
      .split('\n')
      .find((text) => text.startsWith(`${it.id} `));
    const { pid, bundle } = await it.state();
    match(line ?? '', new RegExp(`^${it.id}\\s+${pid}\\s+running\\s+${bundle}\\s`));
    const listed = JSON.parse(ok(await it.oci(['list', '--format', 'json']))) as {
      id: string;
      pid: number;
      status: string;
    }[];
    const one = listed.find(({ id }) => id === it.id);
    deepEqual([one?.pid, one?.status], [pid, 'running']);
    truthy(
      ok(await it.oci(['list', '--quiet']))
        .split('\n')
        .includes(it.id),
    );
    equal(
      ok(await bench.run([bench.runtime.path, '--root', folder(), 'list', '--format', 'json']))
        .replace(/\s/g, '')
        .replace('null', '[]'),
      '[]',
    );
  });

  it('a table has its headings', 'runc list', async ({ bench, folder }) => {
    match(
      ok(await bench.run([bench.runtime.path, '--root', folder(), 'list'])),
      /^(ID|NAME)\s+PID\s+STATUS\s+BUNDLE.*\sCREATED\s+OWNER\n/,
    );
  });

  it('ps has the processes, as JSON by their pids', 'runc ps --format json', async ({ container }) => {
    const it = await container().up();
    deepEqual(JSON.parse(ok(await it.oci(['ps', '--format', 'json', it.id]))), [await it.pid()]);
  });

  it('ps shows them as ps does, with its options', 'runc ps ID [ps options]', async ({ container, bench }) => {
    if ((await bench.run(['ps', '--version'])).status !== 0) return;
    const it = await container().up();
    // runc does not wait until the program runs.
    const name = bench.inside(`/proc/${await it.pid()}/comm`);
    await until(() => readFileSync(name, 'utf8') === 'sleep\n');
    match(ok(await it.oci(['ps', it.id])), /^UID\s+PID.*\n.*\bsleep 1000\n$/);
    match(ok(await it.oci(['ps', it.id, '-o', 'pid,comm'])), /^\s*PID COMMAND\n\s*\d+ sleep\n$/);
  });
});
