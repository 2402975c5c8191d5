/** A killed tare between any two steps, where a bridge stands between, or the root is mounted in the namespace of the runtime. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultConfig } from '../../runtime/container/index.js';
import { makeRootfs } from '../harness/rootfs.js';
import { inWorld, type World } from '../harness/world.js';
import { dropNamespace, type Mutable, mapUsers, setNamespace } from './bundle.js';

const FIRST = 200_000;

async function makeBundle(world: World, edit: (config: Mutable) => void): Promise<void> {
  const rootfs = makeRootfs(join(world.folder, 'rootfs'));
  const options = { rootfs, args: ['sleep', '1000'], caller: { uid: 0, gid: 0 } };
  const config = JSON.parse(JSON.stringify(defaultConfig(options))) as Mutable;
  edit(config);
  writeFileSync(join(world.folder, 'config.json'), JSON.stringify(config));
  await world.run(['chmod', '755', world.folder]);
  await world.run(['chown', '-R', `${FIRST}:${FIRST}`, rootfs]);
}

/** Stops `tare step` by force when it has written so many lines, and then does what an administrator does. */
const KILL = `
  unshare --net --uts sleep 1000 & other=$!
  until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
  touch "$TMPDIR/net"; mount --bind /proc/$other/ns/net "$TMPDIR/net"
  for lines in "$@"; do
    mkfifo "$TMPDIR/out"
    tare step --auto --bundle "$BUNDLE" > "$TMPDIR/out" & pid=$!
    head -n $lines < "$TMPDIR/out" > "$TMPDIR/seen"; kill -9 $pid; wait $pid 2>/dev/null
    wc -l < "$TMPDIR/seen"; rm "$TMPDIR/out" "$TMPDIR/seen"
    tare gc >/dev/null
    for id in $(tare ps | tail -n +2 | cut -d' ' -f1); do tare delete --force $id; done
  done
  umount "$TMPDIR/net"; rm "$TMPDIR/net"; kill -9 $other`;

describe('a tare that is killed while it makes a container', () => {
  it.each<[string, (config: Mutable, world: World) => void, readonly number[]]>([
    [
      'through a bridge into a new user namespace',
      (config, world) => {
        setNamespace(config, 'user');
        setNamespace(config, 'time');
        setNamespace(config, 'network', join(world.folder, 'tmp/net'));
        mapUsers(config, FIRST);
        config.linux.timeOffsets = { monotonic: { secs: 7 } };
        config.mounts = config.mounts?.filter(({ type }) => type !== 'sysfs');
        config.linux.maskedPaths = [];
        config.linux.readonlyPaths = [];
      },
      [14, 21, 24, 27, 30, 33, 36],
    ],
    ['in the mount namespace of the runtime', (config) => dropNamespace(config, 'mount'), [40, 60, 100, 160]],
  ])('leaves nothing after gc: %s', (_, edit, lines) =>
    inWorld('killns', async (world) => {
      await makeBundle(world, (config) => edit(config, world));
      const { stdout, stderr } = await world.run(['bash', '-c', KILL, 'bash', ...lines.map(String)], {
        env: { BUNDLE: world.folder },
      });
      expect([stdout.trim().split(/\s+/), stderr.replaceAll(/^bash: .*Killed.*\n/gm, '')]).toEqual([
        lines.map(String),
        '',
      ]);
    }),
  );
});
