import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame, encodeOpen, FRAME_WINDOW, FrameType } from '../../runtime/vm/frames.js';
import * as requests from '../../runtime/vm/requests.js';
import { openTerminal } from '../../runtime/vm/terminal.js';
import { BUILDS, programOf, type RunningAgent, startAgent, startSilent } from './start-agent.js';

for (const build of BUILDS) {
  if (!programOf(build)) {
    it(build, (context) => context.skip(`${build} is not built: make -C native all asan`));
    continue;
  }

  describe(`${build}, talked to`, () => {
    let agent: RunningAgent;
    let folder: string;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'tare-agent-'));
      agent = await startAgent(build);
    });
    afterEach(async () => {
      const status = await agent.stop();
      rmSync(folder, { recursive: true, force: true });
      expect([status, agent.errors()]).toEqual([0, '']);
    });

    it('runs commands: streams, status, signal, input, folder, environment', async () => {
      const { link } = agent;
      const run = (argv: string[], options = {}) => requests.exec(link, argv, { cwd: '/', ...options });
      expect(await run(['sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({
        status: 7,
        stdout: Buffer.from('out\n'),
        stderr: Buffer.from('err\n'),
      });
      expect((await run(['sh', '-c', 'kill -TERM $$'])).status).toBe(128 + 15);
      expect((await run(['cat'], { stdin: 'typed' })).stdout.toString()).toBe('typed');
      expect((await run(['sh', '-c', 'echo $PWD $A'], { cwd: '/usr', env: { A: 'b' } })).stdout.toString()).toBe(
        '/usr b\n',
      );
      expect((await run(['sh', '-c', 'ls /proc/self/fd | wc -l'])).stdout.toString().trim()).toBe('4'); // 0 1 2 and ls's own
    });

    it('passes much through both ways without loss', async () => {
      const data = randomBytes(3 << 20);
      const { stdout } = await requests.exec(agent.link, ['cat'], { cwd: '/', stdin: data, maxOutput: 4 << 20 });
      expect(stdout.equals(data)).toBe(true);
    });

    it('tells not found from not executable', async () => {
      const { link } = agent;
      await expect(requests.exec(link, ['no-such-program'], { cwd: '/' })).rejects.toMatchObject({
        code: 'command-not-found',
      });
      await expect(requests.exec(link, ['/etc/passwd'], { cwd: '/' })).rejects.toMatchObject({
        code: 'command-not-executable',
      });
      await expect(requests.exec(link, [], { cwd: '/' })).rejects.toMatchObject({ code: 'usage' });
    });

    it('ends a command that lasts too long or says too much, and kills it', async () => {
      const pid = join(folder, 'pid');
      const lasting = requests.exec(agent.link, ['sh', '-c', `echo $$ > ${pid}; exec sleep 1000`], {
        cwd: '/',
        timeoutMs: 1500,
      });
      await expect(lasting).rejects.toMatchObject({ code: 'timeout' });
      await gone(Number(readFileSync(pid, 'utf8')));
      const endless = requests.exec(agent.link, ['sh', '-c', `echo $$ > ${pid}; exec yes`], {
        cwd: '/',
        maxOutput: 100_000,
      });
      await expect(endless).rejects.toThrow(/more than 100000 bytes/);
      await gone(Number(readFileSync(pid, 'utf8')));
    });

    it('does not wait for what a command left in the background', async () => {
      const { stdout } = await requests.exec(agent.link, ['sh', '-c', 'sleep 1000 & echo $!'], { cwd: '/' });
      process.kill(Number(stdout.toString()), 'SIGKILL');
    });

    it('reads, writes, lists and describes files, with errors as Node has them', async () => {
      const { link } = agent;
      const path = join(folder, 'file');
      const data = randomBytes(700_000);
      await requests.writeFile(link, path, data, 0o600);
      expect(readFileSync(path).equals(data)).toBe(true);
      expect((await requests.readFile(link, path)).equals(data)).toBe(true);
      expect((await requests.stat(link, path)).mode).toBe(0o100600);
      await expect(requests.readFile(link, path, 699_999)).rejects.toMatchObject({ code: 'EFBIG' });
      for (let i = 0; i < 300; i++) writeFileSync(join(folder, `name-${i}`), '');
      expect((await requests.readdir(link, folder)).length).toBe(301);
      expect(await requests.readlink(link, '/proc/self/exe')).toContain('agent');
      expect((await requests.readFile(link, '/proc/self/status')).toString()).toContain('Name:\tagent');
      await expect(requests.readFile(link, join(folder, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(requests.readFile(link, folder)).rejects.toMatchObject({ code: 'EISDIR' });
      await expect(requests.readlink(link, path)).rejects.toMatchObject({ code: 'EINVAL' });
      await expect(requests.readdir(link, path)).rejects.toMatchObject({ code: 'ENOTDIR' });
      await expect(requests.writeFile(link, folder, 'x')).rejects.toMatchObject({ code: 'EISDIR' });
      spawnSync('mkfifo', [join(folder, 'fifo')]);
      expect((await requests.readFile(link, join(folder, 'fifo'))).length).toBe(0); // does not wait for a writer
    });

    it('serves more at once than it has channels', async () => {
      const answers = await Promise.all(
        Array.from({ length: 400 }, () => requests.readFile(agent.link, '/proc/self/stat')),
      );
      expect(answers.every((answer) => answer.includes('agent'))).toBe(true);
    });

    it('opens a terminal: size, resize, controlling terminal, hang-up', async () => {
      const argv = ['bash', '--norc', '--noprofile'];
      const terminal = await openTerminal(
        agent.link,
        { columns: 91, rows: 17, argv, cwd: '/', env: { PS1: 'go> ' } },
        () => undefined,
      );
      const screen = collect(terminal);
      await screen.until('go> ');
      terminal.write('stty size; ps -o tty= -p $$ | grep -c pts\r');
      await screen.until('17 91\r\n1\r\n');
      terminal.resize(33, 44);
      terminal.write('trap "echo changed" WINCH; stty size\r');
      await screen.until('44 33\r\n');
      terminal.close();
      await terminal.exited;
      await gone(terminal.pid);
    });

    it('reports the end of a terminal’s program, after its last output', async () => {
      const argv = ['sh', '-c', 'seq 1 20000; exit 5'];
      const terminal = await openTerminal(agent.link, { columns: 80, rows: 24, argv, cwd: '/' }, () => undefined);
      const screen = collect(terminal);
      expect(await terminal.exited).toBe(5);
      expect(screen.text().endsWith('19999\r\n20000\r\n')).toBe(true);
    });

    it('lets a flooding terminal block alone: the others go on, and no memory is taken', async () => {
      const flood = await openTerminal(agent.link, { columns: 80, rows: 24, argv: ['yes'], cwd: '/' }, () => undefined);
      flood.pause();
      let got = 0;
      flood.onData((data) => {
        got += data.length;
      });
      flood.pause();
      const before = residentKiB(agent.child.pid as number);
      for (let i = 0; i < 30; i++)
        expect((await requests.exec(agent.link, ['echo', 'alive'], { cwd: '/' })).stdout.toString()).toBe('alive\n');
      expect(residentKiB(agent.child.pid as number) - before).toBeLessThan(8192);
      expect(got).toBeLessThanOrEqual(FRAME_WINDOW);
      flood.resume();
      while (got < 3 * FRAME_WINDOW) await new Promise((wake) => setTimeout(wake, 5));
      flood.close();
      await flood.exited;
    });

    it('reports activity, not more often than every 50 ms', async () => {
      let told = 0;
      agent.link.onActivity = () => told++;
      const begin = performance.now();
      for (let i = 0; i < 20; i++) await requests.exec(agent.link, ['true'], { cwd: '/' });
      while (told === 0) await new Promise((wake) => setTimeout(wake, 5));
      expect(told).toBeLessThanOrEqual(Math.ceil((performance.now() - begin) / 50) + 1);
    });

    it('refuses what is no plan', async () => {
      await expect(requests.runPlan(agent.link, Buffer.from('not a plan'))).rejects.toMatchObject({
        code: 'system-call',
      });
    });
  });

  describe(`${build}, lied to`, () => {
    const lies: [string, Buffer][] = [
      ['malformed bytes', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
      ['a request without its fields', encodeFrame(FrameType.open, 0, 1, Buffer.alloc(3))],
      ['a frame that only the agent sends', encodeFrame(FrameType.activity, 0, 0)],
    ];
    for (const [what, bytes] of lies)
      it(`gives up on ${what}`, async () => {
        const agent = startSilent(build);
        agent.stream.resume();
        const exited = new Promise((resolve) => agent.child.once('exit', resolve));
        // Frames to a channel that does not exist are ignored, so open one for those that need it.
        agent.stream.write(
          encodeFrame(FrameType.open, 0, 9, encodeOpen({ kind: 'exec', c: 1, strings: ['/', 'cat'] })),
        );
        agent.stream.write(what.startsWith('a frame') ? encodeFrame(FrameType.activity, 0, 9) : bytes);
        expect(await exited).toBe(1);
        expect(agent.errors()).not.toMatch(/Sanitizer/);
        await agent.stop();
      });

    it('survives or gives up on any frames, without a sanitizer’s report', async () => {
      const types = fc.constantFrom(...Object.values(FrameType).filter((type) => type !== FrameType.poweroff));
      const strings = fc.array(
        fc.constantFrom('', '/', '/etc/passwd', '/proc/self/status', 'true', 'A=b', '\u{1F600}'),
        { maxLength: 5 },
      );
      const open = fc
        .record({
          kind: fc.constantFrom('pty', 'exec', 'read', 'readlink', 'readdir', 'stat', 'plan'),
          a: fc.nat(),
          b: fc.nat(),
          c: fc.nat(5),
          strings,
        })
        .map((request) => [FrameType.open, encodeOpen(request as Parameters<typeof encodeOpen>[0])] as const);
      const other = fc.tuple(types, fc.uint8Array({ maxLength: 40 })).filter(([type]) => type !== FrameType.open);
      const frames = fc.array(fc.tuple(fc.oneof(open, other), fc.nat(4)), { minLength: 1, maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(frames, async (list) => {
          const agent = startSilent(build);
          agent.stream.resume();
          for (const [[type, payload], channel] of list)
            agent.stream.write(encodeFrame(type as number, 1, channel, payload as Uint8Array));
          await new Promise((wake) => setTimeout(wake, 20));
          const status = await agent.stop();
          expect(agent.errors()).not.toMatch(/Sanitizer|runtime error/);
          expect([0, 1]).toContain(status);
        }),
        { numRuns: 15 },
      );
    });
  });
}

describe('fuzzing', () => {
  it('the agent’s frame decoder holds against a short run of libFuzzer', (ctx) => {
    const program = programOf('fuzz/frames');
    if (!program) return ctx.skip('dist/native/fuzz/frames is not built (make -C native fuzz)');
    const run = spawnSync(program, ['-runs=100000', '-max_len=4096', '-seed=1'], { cwd: tmpdir(), encoding: 'utf8' });
    expect([run.status, /Done 100000 runs/.test(run.stderr)]).toEqual([0, true]);
  });
});

function collect(terminal: { onData(listener: (data: Buffer) => void): () => void }) {
  let text = '';
  terminal.onData((data) => {
    text += data.toString();
  });
  const until = async (wanted: string) => {
    while (!text.includes(wanted)) await new Promise((wake) => setTimeout(wake, 5));
  };
  return { text: () => text, until };
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ESRCH');
      return;
    }
    await new Promise((wake) => setTimeout(wake, 5));
  }
}

function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
