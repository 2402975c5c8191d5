/** Terminals: who gets the master, what the program finds, and its size. config.md, process.terminal; runc's docs/terminals.md. */
import { equal, match } from 'node:assert/strict';
import { existsSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../../runtime/kernel/addon.js';
import { closeAll } from '../../../runtime/kernel/fd.js';
import type { Ran } from '../../harness/world.js';
import type { Bench, Running } from '../bench.js';
import { type Container, NOT_THERE, ok, refused } from '../container.js';
import { Receiver } from '../receiver.js';
import { Screen } from '../screen.js';
import { type Scene, suite } from '../suite.js';
import { until } from '../until.js';

/** A runtime may set the size after the program has begun; before, busybox says nothing, and that it went well. */
const UNTIL_SIZE = 'until [ -n "$(stty size 2>/dev/null)" ]; do sleep 0.02; done;';

/** What is still in a terminal when its session leader ends is dropped by the kernel (tty_vhangup): that one ends when it has come. */
const UNTIL_SEEN = 'until [ -e /seen ]; do sleep 0.02; done;';

export const terminals = suite('console', (it) => {
  it('--console-socket gets the master of the terminal', 'runc create --console-socket', async (scene) => {
    const { it, screen } = await withTerminal(scene, 'tty; echo done > /done; exec sleep 1000');
    match(await screen.shows('pts'), /^\/dev\/pts\/0\r\n/);
    await until(() => existsSync(join(it.rootfs, 'done')) && it.read('done') !== '');
    equal(it.read('done'), 'done\n');
  });

  it('the program reads what is written to the master', 'config.md, process.terminal', async (scene) => {
    const { it, screen } = await withTerminal(scene, 'read line; echo "got $line" > /got; exec sleep 1000');
    writeSync(screen.master, 'hello\n');
    await until(() => existsSync(join(it.rootfs, 'got')) && it.read('got') !== '');
    equal(it.read('got'), 'got hello\n');
  });

  it('it is the controlling terminal of the program', 'config.md, process.terminal; credentials(7)', async (scene) => {
    const { it, screen } = await withTerminal(
      scene,
      "trap 'echo interrupted > /got' INT; echo ready; while :; do sleep 0.05; done",
    );
    await screen.shows('ready');
    writeSync(screen.master, '\x03');
    await until(() => existsSync(join(it.rootfs, 'got')) && it.read('got') !== '');
    const stat = it.bench
      .proc(await it.pid(), 'stat')
      .split(') ')[1]
      ?.split(' ') as string[];
    // state ppid pgrp session tty_nr tpgid: a session and a foreground group of its own, on a pts (major 136)
    equal(Number(stat[4]) >> 8, 136);
    equal(stat[2], stat[3]);
  });

  it('/dev/console is the terminal', 'config-linux.md, Default Devices: /dev/console', async (scene) => {
    const { screen } = await withTerminal(scene, 'echo through the console > /dev/console; exec sleep 1000');
    match(await screen.shows('console'), /through the console/);
  });

  it('consoleSize is the size', 'config.md, process.consoleSize', async (scene) => {
    const { screen } = await withTerminal(scene, 'stty size; exec sleep 1000', (config) => {
      config.process.consoleSize = { height: 41, width: 133 };
    });
    match(await screen.shows('133'), /^41 133\r\n/);
  });

  it('resizing the master reaches the program', 'tty_ioctl(4) TIOCSWINSZ', async (scene) => {
    const { it, screen } = await withTerminal(
      scene,
      "trap 'stty size > /size' WINCH; echo ready; while :; do sleep 0.05; done",
    );
    await screen.shows('ready');
    native.setWindowSize(screen.master, 91, 37);
    await until(() => existsSync(join(it.rootfs, 'size')) && it.read('size') !== '');
    equal(it.read('size'), '37 91\n');
  });

  it('the terminal belongs to the user of the program', 'runc: fixStdioPermissions', async (scene) => {
    const { screen } = await withTerminal(scene, 'stat -c %u $(tty); exec sleep 1000', (config) => {
      config.process.user.uid = 1234;
    });
    match(await screen.shows('\n'), /^1234\r\n/);
  });

  it('a detached terminal without --console-socket is refused', 'runc create', async ({ container }) => {
    const it = container((config) => {
      config.process.terminal = true;
    });
    refused(await it.create(), /console.socket/);
    refused(await it.oci(['state', it.id]), NOT_THERE);
  });

  it('--console-socket without a terminal is refused', 'runc create', async (scene) => {
    const it = scene.container();
    const { path } = await receiver(scene, it);
    refused(await it.create(['--console-socket', path]), /console.socket|terminal/);
  });

  it(
    'a console socket that nobody listens on is an error, and leaves nothing',
    'runc create --console-socket',
    async ({ container }) => {
      const it = container((config) => {
        config.process.terminal = true;
      });
      refused(await it.create(['--console-socket', join(it.bundle, 'nobody')]));
      refused(await it.oci(['state', it.id]), NOT_THERE);
    },
  );

  it('run with a terminal passes it through', 'runc run', async ({ container, bench }) => {
    const it = container((config) => {
      config.process.terminal = true;
      config.process.args = [
        'sh',
        '-c',
        `test -t 0 && test -t 1 && test -t 2 && tty; ${UNTIL_SIZE} stty size; ${UNTIL_SEEN} exit 12`,
      ];
    });
    it.save();
    const command = `stty rows 33 cols 101; exec ${bench.runtime.path} --root ${bench.root} run -b ${it.bundle} ${it.id}`;
    const ran = await onTerminal(bench, command, it, /33 101/);
    equal(ran.status, 12);
    match(ran.stdout, /\/dev\/pts\/0\r\n33 101\r\n/);
  });

  it('run with a terminal writes lines to a pipe as the program wrote them', 'runc run', async ({ container }) => {
    const it = container((config) => {
      config.process.terminal = true;
      config.process.args = ['sh', '-c', `tty; echo at once; ${UNTIL_SEEN}`];
    });
    it.save();
    equal(ok(await seen(it, it.begin(['run', '--bundle', it.bundle, it.id]), /once/)), '/dev/pts/0\nat once\n');
  });

  it('exec --tty gives the process a terminal', 'runc exec --tty', async ({ container, bench }) => {
    const it = await container().up();
    const command = `stty rows 20 cols 77; exec ${bench.runtime.path} --root ${bench.root} exec -t ${it.id} sh -c 'tty; ${UNTIL_SIZE} stty size; ${UNTIL_SEEN} exit 5'`;
    const ran = await onTerminal(bench, command, it, /20 77/);
    equal(ran.status, 5);
    // The line before the runtime has put the outer terminal into its mode may end with one more.
    match(ran.stdout, /\/dev\/pts\/\d+\r+\n20 77\r\n/);
  });

  it('exec without --tty has none', 'runc exec', async ({ container }) => {
    const it = await container().up();
    const ran = await it.exec([], ['tty']);
    equal(ran.stdout, 'not a tty\n');
  });

  it('exec --detach --tty sends the master to --console-socket', 'runc exec --console-socket', async (scene) => {
    const it = await scene.container().up();
    const socket = await receiver(scene, it);
    ok(await it.exec(['-d', '-t', '--console-socket', socket.path], ['sh', '-c', 'tty; exec sleep 999']));
    match(await (await screenOf(scene, socket)).shows('pts'), /\/dev\/pts\/\d+/);
  });

  it('exec --process decides by its own terminal', 'runc exec --process', async (scene) => {
    const it = await scene.container().up();
    const socket = await receiver(scene, it);
    const file = join(it.bundle, 'process.json');
    const process = {
      terminal: true,
      consoleSize: { height: 9, width: 44 },
      cwd: '/',
      args: ['sh', '-c', 'stty size; sleep 999'],
      env: ['PATH=/bin'],
      user: { uid: 0, gid: 0 },
    };
    writeFileSync(file, JSON.stringify(process));
    ok(await it.exec(['-d', '--console-socket', socket.path, '--process', file]));
    match(await (await screenOf(scene, socket)).shows('44'), /^9 44\r\n/);
  });

  it('a program that ends hangs up the master', 'pty(7)', async (scene) => {
    const { it, screen } = await withTerminal(scene, `echo bye; ${UNTIL_SEEN}`);
    await screen.shows('bye');
    writeFileSync(join(it.rootfs, 'seen'), '');
    await until(() => screen.hungUp);
    equal(screen.shown, 'bye\r\n');
  });
});

/** Runs a command on a terminal by script(1), which loses output once its own input has ended: here it lasts. */
async function onTerminal(bench: Bench, command: string, it: Container, words: RegExp): Promise<Ran> {
  const ends = native.pipe();
  try {
    return await seen(it, bench.start(['script', '-qec', command, '/dev/null'], { stdin: ends[0] }), words);
  } finally {
    closeAll(ends);
  }
}

/** Waits for the words, and for its end after them. */
async function seen(it: Container, running: Running, words: RegExp): Promise<Ran> {
  let ended = false;
  const end = () => {
    ended = true;
  };
  void running.ended.then(end, end);
  await until(() => ended || words.test(running.said()));
  writeFileSync(join(it.rootfs, 'seen'), '');
  return running.ended;
}

async function receiver({ later }: Scene, it: Container): Promise<Receiver> {
  const socket = await Receiver.listen(join(it.bundle, 's'));
  later(() => socket.close());
  return socket;
}

async function screenOf({ later }: Scene, socket: Receiver): Promise<Screen> {
  const { fds } = await socket.message();
  equal(fds.length, 1);
  const screen = new Screen(fds[0] as number);
  later(() => screen.close());
  return screen;
}

/** A container that runs `script` on a terminal, and what it shows. */
async function withTerminal(scene: Scene, script: string, edit?: Parameters<Scene['container']>[0]) {
  const it = scene.container((config) => {
    config.process.terminal = true;
    config.process.args = ['sh', '-c', script];
    edit?.(config);
  });
  const socket = await receiver(scene, it);
  ok(await it.create(['--console-socket', socket.path]));
  const screen = await screenOf(scene, socket);
  ok(await it.start());
  return { it, screen };
}
