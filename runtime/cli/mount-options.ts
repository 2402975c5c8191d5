/** What is mounted in a container: `-v`, `--mount` and `--tmpfs`, as docker run has them, but for volumes that Docker keeps under a name. */
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { TareError } from '../kernel/error.js';
import type { Mount } from '../oci/index.js';
import { parseSize } from './sizes.js';

/** `SRC:DST[:ro]` @throws TareError `usage` */
export function parseVolume(text: string): Mount {
  const [source = '', destination = '', mode, ...rest] = text.split(':');
  const fine = source !== '' && isAbsolute(destination) && rest.length === 0 && ['ro', 'rw', undefined].includes(mode);
  if (!fine) throw new TareError('usage', `--volume ${text}: must be SRC:DST or SRC:DST:ro, with an absolute DST`);
  // What Docker would take for the name of a volume.
  if (/^\w[\w.-]*$/.test(source) && !existsSync(source))
    throw new TareError(
      'usage',
      `--volume ${text}: there is no ${source} here, and Tare keeps no volumes by name: make a folder, and show it by ./${source}`,
    );
  return bind(source, destination, mode === 'ro');
}

/** `/path[:size=64m,mode=1777]` @throws TareError `usage` */
export function parseTmpfs(text: string): Mount {
  const [, destination = '', options = ''] = /^(.*?)(?::(.*))?$/s.exec(text) ?? [];
  if (!isAbsolute(destination))
    throw new TareError('usage', `--tmpfs ${text}: must be /PATH or /PATH:size=64m,mode=1777`);
  return tmpfs(destination, options === '' ? [] : options.split(','));
}

/** `type=bind,source=SRC,target=DST[,readonly]`, `type=tmpfs,target=DST[,tmpfs-size=64m][,tmpfs-mode=1777]` @throws TareError `usage` */
export function parseMount(text: string): Mount {
  const wrong = (why: string) => new TareError('usage', `--mount ${text}: ${why}`);
  const fields = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, key = '', value = 'true'] = /^([^=]*)(?:=(.*))?$/s.exec(part) ?? [];
    const name = NAMES[key] ?? key;
    if (!KNOWN.has(name)) throw wrong(`there is no ${JSON.stringify(key)}; there are ${[...KNOWN].join(', ')}`);
    fields.set(name, value);
  }
  const [type, source, target] = ['type', 'source', 'target'].map((name) => fields.get(name));
  if (type === undefined || type === 'volume')
    throw wrong('Tare keeps no volumes by name: say type=bind, with a source of the host, or type=tmpfs');
  if (target === undefined || !isAbsolute(target)) throw wrong('it needs a target, which is an absolute path');
  const isReadOnly = ['true', '1'].includes(fields.get('readonly') ?? '');
  if (type === 'bind') {
    if (!source) throw wrong('it needs a source, a file or folder of the host');
    return bind(source, target, isReadOnly);
  }
  if (type !== 'tmpfs') throw wrong(`there is no type ${JSON.stringify(type)}: bind and tmpfs are`);
  if (source !== undefined) throw wrong('a tmpfs has no source');
  const [size, mode] = [fields.get('tmpfs-size'), fields.get('tmpfs-mode')];
  return tmpfs(target, [
    ...(size === undefined ? [] : [`size=${parseSize('tmpfs-size', size)}`]),
    ...(mode === undefined ? [] : [`mode=${mode}`]),
    ...(isReadOnly ? ['ro'] : []),
  ]);
}

const NAMES: Readonly<Record<string, string>> = { src: 'source', dst: 'target', destination: 'target', ro: 'readonly' };
const KNOWN = new Set(['type', 'source', 'target', 'readonly', 'tmpfs-size', 'tmpfs-mode']);

function bind(source: string, destination: string, isReadOnly: boolean): Mount {
  const options = ['rbind', 'rprivate', isReadOnly ? 'rro' : 'rw'];
  return { destination, type: 'bind', source: resolve(source), options };
}

function tmpfs(destination: string, options: readonly string[]): Mount {
  return { destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'noexec', ...options] };
}
