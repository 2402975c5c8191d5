/**
 * The container that a command line describes: of an image, by its name, or of a folder (`--rootfs`, `--bundle`). `run`, `plan` and `step` have
 * it in common. An image that is not there is pulled, unless that is not wanted.
 */
import type { CreateOptions } from '../container/index.js';
import { familiarName } from '../image/reference.js';
import type { OnProgress } from '../image/types.js';
import { TareError } from '../kernel/error.js';
import { type Bundle, type IdMapping, validConfig } from '../oci/index.js';
import { withConfigOptions } from './config-options.js';
import { bundleOf, type ContainerOptions, settingsOf } from './container-options.js';
import { say } from './report-error.js';

/** What is to be made, and what is held open until then. */
export interface Described extends Disposable {
  readonly bundle: Bundle;
  readonly folder?: CreateOptions['folder'];
}

export interface DescribeOptions {
  /** Of the terminal. */
  readonly size?: { readonly columns: number; readonly rows: number };
  /** It will not be made. */
  readonly onlyPlan?: boolean;
}

/** The first word names one, as no folder is given. */
export function isOfImage({ bundle, rootfs }: ContainerOptions, words: readonly string[]): boolean {
  return bundle === undefined && rootfs === undefined && words.length > 0;
}

/** @throws TareError `usage`; whatever loading a bundle, or finding and unpacking an image, throws */
export async function describeContainer(
  id: string,
  options: ContainerOptions,
  words: readonly string[],
  { size, onlyPlan }: DescribeOptions = {},
): Promise<Described> {
  if (options.bundle !== undefined || options.rootfs !== undefined) {
    refuseForFolders(options);
    return { bundle: bundleOf(options, words, size), [Symbol.dispose]: () => undefined };
  }
  const [name, ...rest] = words;
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  if (name === undefined) {
    throw new TareError(
      'usage',
      'give the name of an image, or --rootfs DIR or --bundle DIR: a container needs a root',
    );
  }
  return ofImage(id, name, command, options, { size, onlyPlan });
}

async function ofImage(
  id: string,
  name: string,
  command: readonly string[],
  options: ContainerOptions,
  { size, onlyPlan = false }: DescribeOptions,
): Promise<Described> {
  // Loaded only here: a container of a folder needs no store.
  const { ImageStore } = await import('../image/store/index.js');
  const { imageContainer } = await import('../image/run/index.js');
  const { obtainImage, PULL_WAYS } = await import('../image/obtain.js');
  const { parsePlatform } = await import('../image/platform.js');
  const { makeTransferProgress } = await import('./progress.js');
  const { pull = 'missing', platform } = options;
  const way = PULL_WAYS.find((one) => one === pull);
  if (way === undefined) throw new TareError('usage', `--pull ${pull}: must be one of ${PULL_WAYS.join(', ')}`);
  const store = await ImageStore.open();
  const progress = makeTransferProgress();
  const onProgress: OnProgress = (said) => {
    // Nobody waits for a layer that is there.
    if (said.action !== 'exists') progress.report(said);
  };
  let lease: Disposable | undefined;
  const release = () => {
    lease?.[Symbol.dispose]();
    store.close();
  };
  try {
    const held = store.lease();
    lease = held;
    const image = await obtainImage(store, name, {
      pull: way,
      ...(platform !== undefined && { platform: parsePlatform(platform) }),
      lease: held,
      isForContainer: true,
      onProgress,
      onOwn: (own) =>
        say('tare', `${name} is not here: this is ${familiarName(own)} (--pull always asks the registry)`),
    });
    const made = await imageContainer(store, image, {
      id,
      lease: held,
      onProgress,
      ...(onlyPlan && { folderName: id }),
      settings: {
        ...settingsOf(options, size),
        command,
        user: options.user,
        entrypoint:
          options.entrypoint === undefined ? undefined : options.entrypoint === '' ? [] : [options.entrypoint],
        idMappings: options.userns === undefined ? undefined : parseMapping(options.userns),
      },
    });
    return {
      bundle: {
        ...made.bundle,
        config: validConfig(withConfigOptions(made.bundle.config, options), 'the command line'),
      },
      folder: made.folder,
      [Symbol.dispose]: () => {
        made[Symbol.dispose]();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  } finally {
    progress.close();
  }
}

/** `100000:65536`: the container's users from 0 on are those of the host from 100000 on. */
function parseMapping(text: string): IdMapping[] {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  const [hostID, size] = [Number(match?.[1]), Number(match?.[2] ?? 65_536)];
  if (match && hostID > 0 && size > 0 && hostID + size <= 2 ** 32 - 1) return [{ containerID: 0, hostID, size }];
  throw new TareError(
    'usage',
    `--userns ${text}: must be FIRST[:SIZE], such as 100000:65536: the users of the host that the container’s are`,
  );
}

const IMAGE_ONLY = ['entrypoint', 'userns', 'platform', 'pull'] as const;

function refuseForFolders(options: ContainerOptions): void {
  const wrong = IMAGE_ONLY.find((name) => options[name] !== undefined);
  if (wrong !== undefined) throw new TareError('usage', `--${wrong} goes with an image only, not with a folder`);
}
