/** What stage weighs: on disk, and in private memory while it supervises a running container. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Container } from '../../runtime/container/index.js';
import { nativeFile } from '../../runtime/kernel/places.js';
import { bundleFor, makeRootfs } from './container.js';
import { verdict } from './measure.js';

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-'));
  let container: Container | undefined;
  try {
    const rootfs = makeRootfs(join(folder, 'rootfs'));
    const bundle = bundleFor(folder, rootfs, ['/bin/sleep', '100']);
    container = await Container.create({ id: `bench-${process.pid}-stage`, bundle, stateRoot: join(folder, 'state') });
    await container.start();
    const pid = container.run?.pid as number;
    return [
      verdict('stage on disk', statSync(nativeFile('stage')).size / 1024, 150, ' KB'),
      verdict('private memory of stage while it supervises', privateMemory(pid), 400, ' KB'),
    ].join('\n');
  } finally {
    await container?.delete({ force: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Private_Clean and Private_Dirty of all mappings, in KB. proc_pid_smaps(5). */
function privateMemory(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].reduce(
    (sum, match) => sum + Number(match[1]),
    0,
  );
}
