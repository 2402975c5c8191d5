/** What a killed tare leaves behind, and what becomes of it. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeBundle } from '../harness/bundle.js';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld } from '../harness/world.js';

describe('when tare is killed', () => {
  it('its container runs on, until it is deleted by force', () =>
    inWorld('kill9', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const script = `
        tare run --rootfs "$1" --name k -- sleep 1000 & pid=$!
        until tare ps | grep -q '^k .*running'; do sleep 0.1; done
        kill -9 $pid; wait $pid 2>/dev/null
        tare gc; tare ps | grep -c '^k .*running'
        tare delete k 2>&1; tare delete --force k; tare ps`;
      const { stdout } = await world.run(['bash', '-c', script, 'bash', rootfs]);
      expect(stdout).toMatch(
        /^nothing was left behind\n1\ntare: the container k is running: stop it first, or delete it with --force\nID +PID/,
      );
    }));

  // Some forty processes of Node, one after the other.
  it('while it steps through a plan, nothing of the container is left after gc', { timeout: 400_000 }, () =>
    inWorld('killstep', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      // Stopped in the middle of create, at whatever step it has got to.
      const script = `
        for lines in 3 30 100 200 300 450; do
          mkfifo "$TMPDIR/out"
          tare step --auto --rootfs "$1" -- sleep 1000 > "$TMPDIR/out" & pid=$!
          head -n $lines < "$TMPDIR/out" > "$TMPDIR/seen"; kill -9 $pid; wait $pid 2>/dev/null
          wc -l < "$TMPDIR/seen"; rm "$TMPDIR/out" "$TMPDIR/seen"
          tare gc >/dev/null
          for id in $(tare ps | tail -n +2 | cut -d' ' -f1); do tare delete --force $id; done
        done`;
      const { stdout } = await world.run(['bash', '-c', script, 'bash', rootfs], { timeoutMs: 360_000 });
      expect(stdout.trim().split(/\s+/)).toEqual(['3', '30', '100', '200', '300', '450']);
    }),
  );

  it('while a hook runs, the hook goes with what is left of the container', () =>
    inWorld('killhook', async (world) => {
      const { path } = makeBundle(world, 'exit 0', {
        change: (config) => ({
          ...config,
          hooks: { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '1003'] }] },
        }),
      });
      const script = `
        tare-oci create --bundle "$1" c & pid=$!
        until pgrep -f '^sleep 1003$' > /dev/null; do sleep 0.1; done
        kill -9 $pid; wait $pid 2>/dev/null
        tare-oci delete --force c; pgrep -f '^sleep 1003$' || echo gone`;
      const { stdout } = await world.run(['bash', '-c', script, 'bash', path]);
      expect(stdout).toBe('gone\n');
    }));

  it('and its container has ended meanwhile, gc removes what is left', () =>
    inWorld('gc', async (world) => {
      const rootfs = makeRootfs(join(world.folder, 'rootfs'));
      const script = `
        tare run --rootfs "$1" --name k -- sh -c 'until [ -e /end ]; do sleep 0.1; done' & pid=$!
        until tare ps | grep -q '^k .*running'; do sleep 0.1; done
        kill -9 $pid; wait $pid 2>/dev/null
        touch "$1/end"
        until tare ps | grep -q '^k .*stopped'; do sleep 0.1; done
        cat "$TARE_STATE/k/exit" | cut -d' ' -f1; tare gc; tare gc`;
      const { stdout } = await world.run(['bash', '-c', script, 'bash', rootfs]);
      expect(stdout).toBe('0\nremoved k\nnothing was left behind\n');
    }));
});
