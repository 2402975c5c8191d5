/** The agent as an ordinary process on a socket pair: the very program, without a machine around it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { nativeFile, packageRoot } from '../../runtime/kernel/places.js';
import { AgentLink } from '../../runtime/vm/link.js';

/** As it ships, and under AddressSanitizer. */
export const BUILDS = ['agent', 'asan/agent'] as const;

export interface RunningAgent {
  readonly child: ChildProcess;
  readonly stream: Duplex;
  readonly link: AgentLink;
  /** What it printed: a sanitizer's report, for one. */
  errors(): string;
  /** Closes the connection and waits for its exit status. */
  stop(): Promise<number | string>;
}

export function programOf(build: string): string | undefined {
  const path = join(packageRoot(), 'dist', 'native', build);
  return existsSync(path) ? path : undefined;
}

export async function startAgent(build: string): Promise<RunningAgent> {
  const running = startSilent(build);
  const link = new AgentLink(running.stream);
  await link.hello;
  return { ...running, link };
}

/** Without anybody to talk to it. */
export function startSilent(build: string): Omit<RunningAgent, 'link'> {
  const args = ['--test-fd', '3', '--stage', nativeFile('stage')];
  const child = spawn(programOf(build) as string, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-8192);
  });
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (status, signal) => resolve(status ?? signal ?? -1)),
  );
  const stream = child.stdio[3] as Duplex;
  stream.on('error', () => undefined); // an agent that gives up resets the connection: its exit status is what is looked at
  // Only our half is closed: what the agent is still sending has a reader until it has heard the end.
  const stop = () => {
    stream.resume();
    stream.end();
    return ended;
  };
  return { child, stream, errors: () => errors, stop };
}
