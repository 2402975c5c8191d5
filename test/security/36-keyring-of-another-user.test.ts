/**
 * Attack 36: another user of the host makes a session keyring of the name that a container's will have, for everybody to use. Joined by its
 * name, it would be the container's: that user reads the keys of the container, and the container finds keys that the user has planted.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { changedProcess } from '../../runtime/container/index.js';
import { PlanBuilder, runPlan } from '../../runtime/plan/index.js';
import { runBundle } from '../system/bundle.js';

const source = fileURLToPath(new URL('keyring.c', import.meta.url));

/** Calls `run` while nobody's keyring of this name is there; what that user has found in it afterwards. */
async function besideKeyring(name: string, run: (program: string) => Promise<void>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-keyring-'));
  const program = join(folder, 'keyring');
  try {
    chmodSync(folder, 0o755);
    execFileSync('musl-gcc', ['-static', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
    const other = spawn(program, [name], { uid: 65534, gid: 65534, stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(other, 'close');
    await once(other.stdout, 'data');
    let found = '';
    other.stdout.on('data', (text) => {
      found += text;
    });
    await run(program).finally(() => other.stdin.end('\n'));
    await ended;
    return found.trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('who joins a keyring by a name that others know gets theirs', async () => {
  const name = `_ses.naive-${process.pid}`;
  const found = await besideKeyring(name, async (program) => {
    const builder = new PlanBuilder();
    const { outside } = builder;
    outside.keyctl_join({ name }, 'as the container would');
    outside.run(
      { candidates: [program], argv: ['x', 'find', 'planted'], env: [], input: 'none', timeout: 0 },
      'planted',
    );
    outside.run({ candidates: [program], argv: ['x', 'add', 'secret'], env: [], input: 'none', timeout: 0 }, 'its own');
    outside.exit({ status: 0 });
    expect(await runPlan(builder.build()).exited).toBe(0);
  });
  expect(found).toBe('secret');
});

it('a container has one whose name nobody knows before it is there', async () => {
  const id = `keyring-victim-${process.pid}`;
  const found = await besideKeyring(`_ses.${id}`, async (program) => {
    await using it = await runBundle(
      ({ process: started, linux }) => {
        delete linux.seccomp;
        const script =
          'until [ -e /keyring ]; do sleep 0.1; done; /keyring add secret && ! /keyring find planted && echo own; sleep 1000';
        started.args = ['sh', '-c', script];
      },
      {},
      { id },
    );
    const copy = join(it.folder, 'rootfs/copy');
    copyFileSync(program, copy);
    execFileSync('mv', [copy, join(it.folder, 'rootfs/keyring')]);
    await expect.poll(it.output, { timeout: 20_000 }).toBe('own\n');
    // What exec starts has the container's.
    const again = await it.container.exec({
      process: changedProcess(it.container.config, { args: ['/keyring', 'find', 'secret'] }),
    });
    expect(await again.wait()).toEqual({ code: 0 });
    const { keyring } = JSON.parse(readFileSync(join(it.folder, 'state', id, 'state.json'), 'utf8'));
    expect(keyring).toMatch(new RegExp(`^_ses\\.${id}\\.[0-9a-f]{32}$`));
  });
  expect(found).toBe('nothing');
});
