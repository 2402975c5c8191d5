/** A learner's session: machine, terminals, exercise; a reload, a dead machine, a full lab. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { CLOSE, WINDOW } from '../../web-lab/protocol.js';
import { openLab, Page } from './visitor.js';

it('opens a machine with the chapter and carries terminals both ways', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  const id = await page.settle();
  page.input(id, 'echo hello\r');
  await page.until(() => page.output.get(id)?.includes('echo hello') === true, 'the echo');
  page.send({ type: 'terminal.resize', terminal: id, columns: 120, rows: 40 });
  await page.until(() => test.provider.last.terminals[0]?.sizes.length === 1, 'the resize');
  expect(test.provider.last.terminals[0]?.sizes).toEqual([[120, 40]]);
  test.provider.last.terminals[0]?.exit(3);
  expect(await page.next('terminal.exited')).toMatchObject({ terminal: id, status: 3 });
  await page.leave();
});

it('turns tasks green by what the machine shows, and explains when all are', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  await page.settle();
  const first = test.provider.last;
  page.send({ type: 'exercise.start', exercise: 'own-name' });
  const { attempt } = await page.next('attempt', ({ attempt }) => attempt?.tasks[0]?.state === 'open');
  expect(first.closed).toBe(true);
  expect(attempt?.tasks[0]).toMatchObject({ prompt: 'Name it `box`', hint: 'Think.' });
  expect(attempt?.tasks[0]?.verdict).toMatchObject({ says: 'the name is machine', where: '/proc/sys/kernel/hostname' });
  expect(attempt?.explanation).toBeUndefined();

  await test.provider.last.writeFile('/name', 'box');
  const { attempt: done } = await page.next('attempt', ({ attempt }) => attempt?.state === 'done');
  expect(done?.tasks.map(({ state }) => state)).toEqual(['done', 'done']);
  expect(done?.explanation).toBe('The name is now **box**.');

  await test.lab.progress.flush();
  const stored = JSON.parse(await readFile(`${test.folder}/lab/progress.json`, 'utf8'));
  expect(stored.exercises['own-name']).toMatchObject({ tasks: ['named', 'kept'], done: expect.any(String) });
});

it('shows the solution, and types it into a terminal of the page', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  await page.settle();
  page.send({ type: 'exercise.start', exercise: 'own-name' });
  await page.next('machine', ({ machine }) => machine.state === 'ready');
  page.send({ type: 'exercise.solution' });
  expect(await page.next('solution')).toMatchObject({ text: 'hostname box\n' });
  page.send({ type: 'exercise.solve', columns: 90, rows: 20 });
  const { terminal } = await page.next('terminal.opened');
  expect(terminal.title).toBe('Solution');
  await page.next('attempt', ({ attempt }) => attempt?.state === 'done');
  await page.next('solved');
  expect(page.output.get(terminal.id)).toContain('hostname box');
});

it('finds machine, terminals, their output and the attempt again after a reload', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  await page.settle();
  page.send({ type: 'exercise.start', exercise: 'own-name' });
  await page.next('machine', ({ machine }) => machine.state === 'ready');
  const id = await page.terminal(2);
  page.input(id, 'still here');
  await page.until(() => page.output.get(id)?.includes('still here') === true, 'the echo');
  await page.leave();

  const again = await Page.open(test).then(async (page) => {
    await page.until(() => page.output.get(id)?.includes('still here') === true, 'the last output');
    return page;
  });
  again.input(id, ', and goes on');
  await again.until(() => again.output.get(id)?.includes('goes on') === true, 'the echo');
  expect(test.provider.machines.filter(({ closed }) => !closed)).toHaveLength(1);
});

it('gives the session to the page that came last', async () => {
  await using test = await openLab();
  const first = await Page.open(test);
  const second = await Page.open(test);
  await first.until(() => first.closed !== undefined, 'the end of the first page');
  expect(first.closed?.code).toBe(CLOSE.replaced);
  await second.settle();
});

it('gives the machine back a while after the last page is closed', async () => {
  await using test = await openLab({ graceMs: 30 });
  const page = await Page.open(test);
  await page.settle();
  await page.leave();
  await page.until(() => test.lab.sessions.size === 0 && test.provider.last.closed, 'the end of the session');
});

it('takes the machine from a learner who does nothing, and says so', async () => {
  await using test = await openLab({ idleMs: 120 });
  const page = await Page.open(test);
  await page.settle();
  const { machine } = await page.next('machine', ({ machine }) => machine.state === 'ended');
  expect(machine).toMatchObject({ reason: 'idle', sentence: expect.stringContaining('given back') });
  await page.until(() => test.provider.last.closed, 'the end of the machine');
});

it('tells the page that its machine died, and gives it a new one', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  const id = await page.settle();
  test.provider.last.die();
  const { machine } = await page.next('machine', ({ machine }) => machine.state === 'ended');
  expect(machine).toMatchObject({ reason: 'died', sentence: 'The machine’s QEMU was killed by signal 9.' });
  expect(await page.next('terminal.exited')).toMatchObject({ terminal: id, status: -1 });
  page.send({ type: 'terminal.open', request: 9, columns: 80, rows: 24 });
  expect((await page.next('failed')).request).toBe(9);
  page.send({ type: 'machine.new' });
  await page.next('machine', ({ machine }) => machine.state === 'ready' && machine.generation === 2);
  await page.terminal(3);
});

it('says that all machines are in use, and serves whoever asks once one is free', async () => {
  await using test = await openLab({ machines: 1, graceMs: 10 });
  const first = await Page.open(test);
  await first.settle();
  const second = await Page.open(test, 'f'.repeat(32));
  second.send({ type: 'chapter.open', chapter: '01-names' });
  const { machine } = await second.next('machine', ({ machine }) => machine.state === 'refused');
  expect(machine).toMatchObject({ code: 'busy', sentence: expect.stringContaining('All 1 machines are in use') });
  await first.leave();
  await first.until(() => test.provider.usage.machines === 0, 'the free machine');
  second.send({ type: 'machine.new' });
  await second.next('machine', ({ machine }) => machine.state === 'ready');
});

it('opens only so many terminals', async () => {
  await using test = await openLab({ terminalsPerMachine: 2 });
  const page = await Page.open(test);
  await page.settle();
  for (const request of [2, 3, 4]) page.send({ type: 'terminal.open', request, columns: 80, rows: 24 });
  const failed = [await page.next('failed'), await page.next('failed')];
  expect(failed.map(({ request }) => request).sort()).toEqual([3, 4]);
  expect(failed[0]?.sentence).toBe('All 2 terminals are open: close one first.');
});

it('keeps quiet about what failed only because the learner went on', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  await page.settle();
  const { last } = test.provider;
  last.openTerminal = async () => {
    await last.ended;
    throw new Error('the machine has ended');
  };
  page.send({ type: 'terminal.open', request: 7, columns: 80, rows: 24 });
  page.send({ type: 'exercise.start', exercise: 'own-name' });
  expect(await page.next('failed')).toMatchObject({ request: 7, code: 'superseded' });
  expect(test.logged).toEqual([]);
});

it('makes one machine at a time for a session, and closes one that comes too late', async () => {
  await using test = await openLab({ graceMs: 10 });
  let open: (value?: unknown) => void = () => undefined;
  test.provider.gate = new Promise((resolve) => {
    open = resolve;
  });
  const page = await Page.open(test);
  page.send({ type: 'machine.new' });
  page.send({ type: 'machine.new' });
  expect((await page.next('failed')).code).toBe('busy');
  await page.leave();
  await page.until(() => test.lab.sessions.size === 0, 'the end of the session');
  open();
  await page.until(() => test.provider.usage.machines === 0, 'the end of the late machine');
  expect(test.provider.machines).toHaveLength(1);
});

it('closes every machine with the lab', async () => {
  const test = await openLab();
  const page = await Page.open(test);
  await page.settle();
  await test.lab.close();
  await page.until(() => page.closed !== undefined, 'the end of the connection');
  expect(page.closed?.code).toBe(CLOSE.goodbye);
  expect(test.provider.usage.machines).toBe(0);
  await test[Symbol.asyncDispose]();
});

it('holds back a program whose output is not drawn, and lets it go on when it is', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  const id = await page.settle();
  const terminal = test.provider.last.terminals[0];
  if (!terminal) throw new Error('no terminal');
  const piece = Buffer.alloc(16 * 1024, 'x');
  let sent = 0;
  while (!terminal.paused && sent < 4 * WINDOW) {
    terminal.emit(piece);
    sent += piece.length;
  }
  expect(terminal.paused).toBe(true);
  expect(sent).toBeLessThanOrEqual(WINDOW + piece.length);
  await page.until(() => (page.output.get(id)?.length ?? 0) >= sent, 'the output');
  page.send({ type: 'terminal.ack', terminal: id, bytes: sent });
  await page.until(() => !terminal.paused, 'the program to go on');
});

it('holds back a program when the page acknowledges and does not read', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  const id = await page.settle();
  const terminal = test.provider.last.terminals[0];
  if (!terminal) throw new Error('no terminal');
  page.socket.pause();
  const piece = Buffer.alloc(64 * 1024, 'x');
  // The kernel's socket buffers take some megabytes before the server's own begins to fill.
  for (let sent = 0; !terminal.paused && sent < 256; sent++) {
    terminal.emit(piece);
    page.send({ type: 'terminal.ack', terminal: id, bytes: piece.length });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(terminal.paused).toBe(true);
  page.socket.resume();
  await page.until(() => !terminal.paused, 'the program to go on');
});

it('replays a bounded end of what a terminal printed', async () => {
  await using test = await openLab();
  const page = await Page.open(test);
  const id = await page.settle();
  await page.leave();
  for (let at = 0; at < 40; at++) test.provider.last.terminals[0]?.emit(Buffer.alloc(16 * 1024, 'y'));
  test.provider.last.terminals[0]?.emit('the end');
  const again = await Page.open(test);
  await again.until(() => again.output.get(id)?.includes('the end') === true, 'the last output');
  expect(again.output.get(id)?.length).toBeLessThanOrEqual(WINDOW);
});
