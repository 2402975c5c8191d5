/** `tare inspect`, as it is typed. */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, type TestContext, test } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { publicCopy } from '../harness/public-copy.js';

const TARE = join(packageRoot(), 'dist', 'bin', 'tare');

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function tare(
  ctx: TestContext,
  args: readonly string[],
  prefix: readonly string[] = [],
  program = TARE,
): Promise<Ran> {
  if (!existsSync(join(packageRoot(), 'dist', 'runtime', 'cli', 'inspect.js'))) ctx.skip('needs "npm run build"');
  const [command = '', ...rest] = [...prefix, process.execPath, program, 'inspect', ...args];
  try {
    return { status: 0, ...(await promisify(execFile)(command, rest)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

test('says how contained a process is', async (ctx) => {
  const { status, stdout, stderr } = await tare(ctx, [`${process.pid}`, '--against', `${process.pid}`]);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^How contained: /);
  expect(stdout).toMatch(new RegExp(`^ {2}user +\\d+ +shared +as ${process.pid}$`, 'm'));
  for (const title of ['Process', 'Namespaces', 'Capabilities', 'Cgroups', 'Mounts'])
    expect(stdout).toMatch(new RegExp(`^${title}`, 'm'));
});

test('and so to machines', async (ctx) => {
  const { status, stdout } = await tare(ctx, ['--json', `${process.pid}`, '--against', `${process.pid}`]);
  expect(status).toBe(0);
  const facts = JSON.parse(stdout);
  expect(facts).toMatchObject({
    pid: process.pid,
    containment: { verdict: expect.any(String) },
    against: { different: [] },
  });
  expect(facts.mounts.length).toBeGreaterThan(0);
});

test('a name that would move the cursor or turn the text is written out, in JSON too', async (ctx) => {
  const name = 'a\x1b[2J\x9b\u202e';
  const child = spawn('sleep', ['60'], { argv0: name, stdio: 'ignore' });
  try {
    const text = await tare(ctx, [`${child.pid}`]);
    const json = await tare(ctx, [`${child.pid}`, '--json']);
    for (const { stdout } of [text, json]) expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(text.stdout).toContain('a\\x1b[2J\\x9b\\u{202e} 60');
    expect(JSON.parse(json.stdout).cmdline).toEqual([name, '60']);
  } finally {
    child.kill('SIGKILL');
  }
});

test.for<[string[], RegExp]>([
  [['4194303'], /^tare: process 4194303 does not exist, or has ended .*\n$/],
  [['self'], /^tare: there is no image "self" here: .*\n$/],
  [['0'], /^tare: there is no image "0" here: .*\n$/],
  [['-5'], /^tare: .*\n$/],
  [[], /^tare: missing required argument 'what'; see "tare inspect --help"\n$/],
  [['1', '--against', 'x'], /^tare: not a process id: "x"\n$|^tare: process 1 may not be looked at .*\n$/],
])('%j is one sentence and exit code 125', async ([args, message], ctx) => {
  const ran = await tare(ctx, args);
  expect([ran.status, ran.stdout]).toEqual([125, '']);
  expect(ran.stderr).toMatch(message);
});

test('a process of somebody else is one sentence', async (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip('needs root, to become somebody else');
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  using copy = publicCopy();
  const { status, stdout, stderr } = await tare(ctx, [`${process.pid}`], nobody, copy.tare);
  expect([status, stdout]).toEqual([125, '']);
  expect(stderr).toMatch(
    new RegExp(`^tare: process ${process.pid} may not be looked at .*: be root, or the user .*\\n$`),
  );
});
