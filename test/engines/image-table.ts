/** Two images that look at what they are given, and the ways in which they are run: the table of what engines must agree upon. */
import { createWriteStream } from 'node:fs';
import { saveArchive } from '../../runtime/image/archive/index.js';
import type { ImageStore } from '../../runtime/image/store/index.js';
import { busyboxImage, makeLayer, putImage } from '../harness/images.js';

// By number: Podman gives names to users that the image does not have. Not `.`: the mode of a root that no layer names is each engine's own.
const LOOK =
  'env | sort; id -u; id -g; id -G; pwd; stat -c "%u:%g %a" /srv; cat /srv/data 2>&1; grep -c " /srv " /proc/self/mountinfo; hostname';

const NAMES = ['localhost/rich:1', 'localhost/plain:1'];

/** Puts them into a store, and writes them to an archive that other engines load. */
export async function putTableImages(store: ImageStore, archive: string): Promise<void> {
  const layer = makeLayer([
    { path: 'srv/', uid: 1000, gid: 2000, mode: 0o2750 },
    { path: 'srv/data', content: 'of the image\n' },
    { path: 'opt/' },
  ]);
  const rich = {
    Env: ['PATH=/bin', 'A=1', 'EMPTY=', 'B=x=y z'],
    User: 'user',
    WorkingDir: '/work/dir',
    Entrypoint: ['sh', '-c'],
    Cmd: [LOOK],
    Volumes: { '/srv': {} },
  };
  await putImage(store, busyboxImage({ config: rich }, [layer]), 'localhost/rich:1');
  await putImage(store, busyboxImage({ config: { Cmd: ['sh', '-c', LOOK] } }, [layer]), 'localhost/plain:1');
  const file = createWriteStream(archive);
  const write = (chunk: Uint8Array) =>
    new Promise<void>((resolve, reject) => file.write(chunk, (error) => (error ? reject(error) : resolve())));
  await saveArchive(store, NAMES, 'docker', write);
  await new Promise<void>((resolve) => file.end(resolve));
}

/** What is told of, the options of `run`, and the image with its words. */
export const TABLE: readonly [string, readonly string[], readonly string[]][] = [
  ['with a user, volumes and a working directory', [], ['localhost/rich:1']],
  ['with nothing but a command', [], ['localhost/plain:1']],
  ['with variables of the caller', ['-e', 'A=2', '-e', 'C=3', '-e', 'HOME=/elsewhere'], ['localhost/rich:1']],
  ['as root', ['-u', 'root'], ['localhost/rich:1']],
  ['as a user by number', ['-u', '1000'], ['localhost/plain:1']],
  ['as a user with a group', ['-u', 'user:extra'], ['localhost/plain:1']],
  ['as numbers that nobody has', ['-u', '4000:5000'], ['localhost/plain:1']],
  ['as a number that nobody has', ['-u', '4000'], ['localhost/plain:1']],
  ['in another folder', ['-w', '/opt'], ['localhost/rich:1']],
  ['with another command', [], ['localhost/rich:1', 'id; echo "$0"']],
  ['with another entrypoint', ['--entrypoint', 'id'], ['localhost/rich:1', '-u']],
];
