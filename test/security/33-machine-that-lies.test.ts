/** Attack 33: a machine's agent sends malformed or endless frames. The machine is dropped; the decoder's own tests are in test/vm/frames. */
import { spawn } from 'node:child_process';
import { Duplex, PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { encodeFrame, FRAME_WINDOW, FrameType } from '../../runtime/vm/frames.js';
import { AgentLink } from '../../runtime/vm/link.js';
import { LiveMachine } from '../../runtime/vm/live-machine.js';
import type { QemuProcess } from '../../runtime/vm/qemu.js';

/** A machine whose QEMU is a process that sleeps, and whose agent is played by the test. */
function played() {
  const agent = new PassThrough();
  const stream = () => Duplex.from({ readable: agent, writable: new Writable({ write: (_c, _e, done) => done() }) });
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const duplex = stream();
  const qemu: QemuProcess = { child, agent: duplex, control: duplex, lastWords: () => '', stateFd: undefined };
  let cleaned = 0;
  const cleanUp = async () => {
    cleaned++;
  };
  const machine = new LiveMachine(
    { id: 'm-played', accelerator: 'tcg', restored: true },
    qemu,
    new AgentLink(duplex),
    cleanUp,
  );
  return { agent, child, machine, cleaned: () => cleaned };
}

describe('a machine that lies', () => {
  it('is killed and cleaned up, and the person is told', async () => {
    const { agent, child, machine, cleaned } = played();
    const waiting = Promise.allSettled([machine.exec(['true'])]);
    agent.write(Buffer.alloc(64, 0xff));
    const end = await machine.ended;
    expect(end.reason).toBe('lied');
    expect(end.message).toMatch(/^the machine was dropped: the machine’s agent sent /);
    expect([child.signalCode, cleaned()]).toEqual(['SIGKILL', 1]);
    expect(await waiting).toMatchObject([{ status: 'rejected', reason: { code: 'protocol' } }]);
    await machine.close();
    expect(cleaned()).toBe(1);
  });

  it('an endless stream of true frames costs no memory and tells nobody more than every 50 ms', async () => {
    const { agent, machine } = played();
    let told = 0;
    machine.onActivity(() => told++);
    const hello = Buffer.alloc(8);
    hello.writeUInt32LE(1, 0);
    hello.writeUInt32LE(FRAME_WINDOW, 4);
    agent.write(encodeFrame(FrameType.hello, 0, 0, hello));
    const many = Buffer.concat(Array.from({ length: 5000 }, () => encodeFrame(FrameType.activity, 1, 0)));
    const begin = performance.now();
    for (let i = 0; i < 40; i++) await new Promise((done) => agent.write(many, done));
    while (told === 0) await new Promise((wake) => setTimeout(wake, 5));
    expect(told).toBeLessThanOrEqual(Math.ceil((performance.now() - begin) / 50) + 1);
    await machine.close();
    expect((await machine.ended).reason).toBe('closed');
  });
});
