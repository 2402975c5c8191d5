/** kill, pause and resume: which process gets which signal, and what a frozen container does. runtime.md and runc's commands. */
import { equal, match, notEqual } from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ok, refused } from '../container.js';
import { suite } from '../suite.js';
import { until } from '../until.js';

/** Writes its trap's name to /got and ends with 5. */
const TRAPS = (...names: string[]) => [
  'sh',
  '-c',
  `${names.map((name) => `trap 'echo ${name} > /got; exit 5' ${name};`).join(' ')} echo > /ready; while :; do sleep 0.05; done`,
];

export const killing = suite('kill and pause', (it) => {
  const signals: [given: string[], got: string][] = [
    [[], 'TERM'],
    [['TERM'], 'TERM'],
    [['SIGUSR1'], 'USR1'],
    [['usr2'], 'USR2'],
    [['1'], 'HUP'],
  ];
  for (const [given, got] of signals) {
    it(
      `kill ${given.join(' ') || 'without a signal'} sends SIG${got}`,
      'runtime.md, kill',
      async ({ container, bench }) => {
        const it = container((config) => {
          config.process.args = TRAPS(got);
        });
        await it.up();
        await until(() => existsSync(`${it.rootfs}/ready`));
        const pid = await it.pid();
        ok(await it.kill(...given));
        equal(await bench.exitOf(pid), 5);
        equal(it.read('got'), `${got}\n`);
      },
    );
  }

  for (const signal of ['NOSUCH', '99', '-1', 'SIG']) {
    it(`kill refuses the signal ${JSON.stringify(signal)}`, 'runc kill', async ({ container }) => {
      const it = await container().up();
      refused(await it.oci(['kill', it.id, '--', signal]));
      equal(await it.status(), 'running');
    });
  }

  it('a created container can be killed', 'runtime.md, kill: created or running', async ({ container, bench }) => {
    const it = container();
    ok(await it.create());
    const pid = await it.pid();
    ok(await it.kill('KILL'));
    equal(await bench.exitOf(pid), 137);
    equal(await it.status(), 'stopped');
    refused(await it.start());
  });

  for (const signal of ['TERM', 'INT', 'HUP']) {
    it(
      `a created container ends with SIG${signal}`,
      'runtime.md, kill: created or running',
      async ({ container, bench }) => {
        const it = container();
        ok(await it.create());
        const pid = await it.pid();
        ok(await it.kill(signal));
        notEqual(await bench.exitOf(pid), 0);
        equal(await it.status(), 'stopped');
        refused(await it.start());
        ok(await it.delete());
      },
    );
  }

  it(
    'a stopped container cannot be killed',
    'runtime.md, kill: neither created nor running is an error',
    async ({ container }) => {
      const it = await container().up();
      await it.end();
      refused(await it.kill('KILL'), /not running/);
    },
  );

  it('kill reaches process 1 only', 'runtime.md, kill: the container process', async ({ container }) => {
    const it = container((config) => {
      config.process.args = [
        'sh',
        '-c',
        "trap 'echo one > /one' USR1; sh -c \"trap 'echo two > /two' USR1; echo > /ready; while :; do sleep 0.05; done\" & while :; do sleep 0.05; done",
      ];
    });
    await it.up();
    await until(() => existsSync(`${it.rootfs}/ready`));
    ok(await it.kill('USR1'));
    await until(() => existsSync(`${it.rootfs}/one`));
    equal(existsSync(`${it.rootfs}/two`), false);
  });

  it('kill --all reaches every process', 'runc kill --all', async ({ container, bench }) => {
    const it = container((config) => {
      config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'pid');
      config.process.args = ['sh', '-c', 'sleep 1000 & echo $! > /child; exec sleep 1000'];
    });
    await it.up();
    await until(() => existsSync(`${it.rootfs}/child`) && it.read('child') !== '');
    const [pid, child] = [await it.pid(), Number(it.read('child'))];
    ok(await it.oci(['kill', '--all', it.id, 'KILL']));
    equal(await bench.exitOf(pid), 137);
    equal(await bench.exitOf(child), 137);
  });

  it('killing process 1 of a pid namespace ends every process of it', 'pid_namespaces(7)', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'sleep 1000 & exec sleep 1000'];
    });
    await it.up();
    await it.end();
    equal(await it.status(), 'stopped');
    ok(await it.delete());
  });

  it('a container that ended by itself is stopped', 'runtime.md, State: stopped', async ({ container, bench }) => {
    const it = container((config) => {
      config.process.args = ['true'];
    });
    ok(await it.create());
    const pid = await it.pid();
    ok(await it.start());
    equal(await bench.exitOf(pid), 0);
    equal(await it.status(), 'stopped');
    refused(await it.exec([], ['true']), /stopped|not running/);
    ok(await it.delete());
  });

  it('pause stops every process, and resume lets them go on', 'runc pause, resume', async ({ container }) => {
    const it = container((config) => {
      config.process.args = ['sh', '-c', 'while :; do echo x >> /ticks; sleep 0.02; done'];
    });
    await it.up();
    // runc does not wait until the program runs.
    await until(() => existsSync(join(it.rootfs, 'ticks')));
    ok(await it.oci(['pause', it.id]));
    equal(await it.status(), 'paused');
    const size = it.read('ticks').length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    equal(it.read('ticks').length, size);
    ok(await it.oci(['resume', it.id]));
    equal(await it.status(), 'running');
    await until(() => it.read('ticks').length > size);
  });

  it('a paused container is listed as paused', 'runc list', async ({ container, folder }) => {
    const it = await container(undefined, { root: folder() }).up();
    ok(await it.oci(['pause', it.id]));
    match(ok(await it.oci(['list'])), new RegExp(`^${it.id}\\s+\\d+\\s+paused\\s`, 'm'));
  });

  it('pause and resume out of turn are refused', 'runc pause, resume', async ({ container }) => {
    const it = await container().up();
    refused(await it.oci(['resume', it.id]), /paused/);
    ok(await it.oci(['pause', it.id]));
    refused(await it.oci(['pause', it.id]), /running|created|paused/);
    await it.delete('--force');
    const other = await container().up();
    await other.end();
    refused(await other.oci(['pause', other.id]));
    refused(await other.oci(['resume', other.id]));
  });

  it('exec in a paused container is refused', 'runc exec', async ({ container }) => {
    const it = await container().up();
    ok(await it.oci(['pause', it.id]));
    refused(await it.exec([], ['true']), /paused/);
  });

  it('exec --ignore-paused waits in a paused container', 'runc exec --ignore-paused (1.1)', async ({ container }) => {
    const it = await container().up();
    ok(await it.oci(['pause', it.id]));
    const running = it.begin(['exec', '--ignore-paused', it.id, 'echo', 'woken']);
    await new Promise((resolve) => setTimeout(resolve, 300));
    ok(await it.oci(['resume', it.id]));
    equal(ok(await running.ended), 'woken\n');
  });

  it('a paused container is killed by SIGKILL', 'runc kill: thaws for SIGKILL (1.1)', async ({ container, bench }) => {
    const it = await container().up();
    const pid = await it.pid();
    ok(await it.oci(['pause', it.id]));
    ok(await it.kill('KILL'));
    equal(await bench.exitOf(pid), 137);
  });

  it('delete --force ends a paused container', 'runc delete --force', async ({ container, bench }) => {
    const it = await container().up();
    const pid = await it.pid();
    ok(await it.oci(['pause', it.id]));
    ok(await it.delete('--force'));
    equal(await bench.exitOf(pid), 137);
  });
});
