/** How a container ends, and what `tare run` makes of it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld } from '../harness/world.js';

describe('the exit code of tare run', () => {
  it.each<[string, string[], number, string]>([
    ['is the command’s', ['sh', '-c', 'exit 7'], 7, ''],
    ['is 0 when it is', ['true'], 0, ''],
    ['is 128 and the signal', ['sh', '-c', 'ulimit -c 0; exec sh -c "kill -SEGV $$; exec sleep 5"'], 139, ''],
    ['is 127 for a command that is not there', ['nope'], 127, 'tare: "nope": command not found'],
    ['is 127 for a path that is not there', ['/no/such'], 127, 'tare: "/no/such": command not found'],
    [
      'is 127 for a script whose interpreter is not there',
      ['/bin/script'],
      127,
      'tare: "/bin/script": command not found, or the interpreter that it names (after #!, or its dynamic loader) is not',
    ],
    ['is 126 for a folder', ['/etc'], 126, 'tare: "/etc": command cannot be executed'],
    ['is 126 for a file without the right', ['/etc/passwd'], 126, 'tare: "/etc/passwd": command cannot be executed'],
    ['is 126 for a file of no format', ['/bin/garbage'], 126, 'tare: "/bin/garbage": command cannot be executed'],
  ])('%s', (_, command, status, message) =>
    inWorld('exit', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      writeFileSync(join(rootfs, 'bin/garbage'), '\x01\x02\x03\x04', { mode: 0o755 });
      writeFileSync(join(rootfs, 'bin/script'), '#!/no/such/interpreter\n', { mode: 0o755 });
      const ran = await world.tare(
        ['run', '--rootfs', rootfs, '--init', '--', ...command].filter((w) => w !== '--init' || status === 139),
      );
      expect(ran.status).toBe(status);
      expect(ran.stderr.trim().split('\n')).toHaveLength(1);
      expect(ran.stderr).toContain(message);
    }),
  );
});

describe('a signal to tare run', () => {
  it.each([
    ['TERM', 15],
    ['INT', 2],
    ['USR1', 10],
    ['HUP', 1],
  ])('SIG%s reaches the container, once', (name, number) =>
    inWorld('signal', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const inner = `n=0; trap 'n=$((n+1))' ${name}; echo ready; while [ $n -eq 0 ]; do sleep 0.05; done; sleep 0.3; exit $((40+n))`;
      const script = `
        mkfifo "$TMPDIR/out"
        tare run --rootfs "$1" -- sh -c "$2" > "$TMPDIR/out" & pid=$!
        read line < "$TMPDIR/out"; kill -${number} $pid; wait $pid; echo $?; rm "$TMPDIR/out"`;
      const { stdout } = await world.run(['bash', '-c', script, 'bash', rootfs, inner]);
      expect(stdout.trim()).toBe('41');
    }),
  );

  it('kills a command that it kills, and the exit code says so', () =>
    inWorld('killed', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const script = `
        tare run --rootfs "$1" --name k -- sleep 1000 & pid=$!
        until tare ps | grep -q '^k .*running'; do sleep 0.1; done
        tare kill k KILL; wait $pid; echo $?`;
      const { stdout } = await world.run(['bash', '-c', script, 'bash', rootfs]);
      expect(stdout.trim()).toBe('137');
    }));
});

describe('a reader of the output that goes away', () => {
  it.each([
    'tare ps',
    'tare ps --json',
    'tare gc',
    'tare --help',
    'tare exercise list',
    'tare machine list',
    'tare plan --rootfs "$1" --json -- true',
    'tare inspect $$',
  ])('is no failure: %s', (command) =>
    inWorld('reader', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const script = `{ sleep 0.2; ${command}; echo $? >&2; } | true`;
      const { stderr } = await world.run(['bash', '-c', script, 'bash', rootfs]);
      expect(stderr).toBe('0\n');
    }),
  );

  it('hangs up the terminal of a container, of which nothing is left', () =>
    inWorld('reader', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const inner = 'i=0; while [ $i -lt 20000 ]; do echo $i || exit 3; i=$((i+1)); done';
      const script = '{ tare run --rootfs "$1" -t -- sh -c "$2" 2>&3; } 3>&2 | head -1; tare ps';
      const { stdout, stderr } = await world.run(['bash', '-c', script, 'bash', rootfs, inner], { timeoutMs: 30_000 });
      expect(stdout).toMatch(/^0\r?\nID .*BUNDLE\n$/);
      expect(stderr).toBe('');
    }));
});
