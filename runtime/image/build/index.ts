/**
 * Building images: `build` takes a Dockerfile and a context, and makes an image of the store. Every RUN is a container of Tare, every step is done once for the
 * same input, and with SOURCE_DATE_EPOCH the same input gives the same bytes. https://docs.docker.com/reference/dockerfile/, https://reproducible-builds.org/specs/source-date-epoch/
 */
import { availableParallelism } from 'node:os';
import type { Digest, Platform } from '../../oci/image/index.js';
import type { PullWay } from '../obtain.js';
import { hostPlatform } from '../platform.js';
import type { Reference } from '../reference.js';
import { openSnapshots } from '../snapshot/index.js';
import { Slots } from '../snapshot/unpack.js';
import type { ImageStore } from '../store/index.js';
import { StepCache } from './cache.js';
import type { SourceTree } from './context/index.js';
import { Downloads } from './downloads.js';
import type { OnBuildEvent } from './events.js';
import { parseDockerfile } from './parse/index.js';
import { writeImage } from './result.js';
import type { Network } from './run.js';
import { removeDeadSecrets, type Secret } from './secrets.js';
import { type Session, StepTeller } from './session.js';
import { Solver } from './solve.js';
import { epochOf, globalArgs, platformArgs, unusedArgs } from './variables.js';
import { removeDeadWork } from './work.js';

export { BuildContext } from './context/index.js';
export type { BuildEvent, OnBuildEvent, StepInfo } from './events.js';
export { type Output, parseOutput, writeOutput } from './output.js';
export { RunFailed } from './run-step.js';
export { parseSecret, type Secret } from './secrets.js';

/** What `tare build` can be told. */
export interface BuildOptions {
  readonly dockerfile: string;
  /** What it is called in errors; `Dockerfile` unless told. */
  readonly file?: string;
  readonly context: SourceTree;
  /** The names that the image gets. */
  readonly names?: readonly Reference[];
  /** The stage to build, by name or number; the last one unless told. */
  readonly target?: string;
  /** Of `--build-arg`. */
  readonly args?: ReadonlyMap<string, string>;
  readonly labels?: ReadonlyMap<string, string>;
  readonly secrets?: readonly Secret[];
  /** Every step is done, whatever earlier builds have come to. */
  readonly noCache?: boolean;
  /** Stages whose steps are done, by name or number, whatever earlier builds have come to. */
  readonly noCacheStages?: readonly string[];
  /** When a registry is asked for a base: where it is `missing` here, unless told. */
  readonly pull?: PullWay;
  readonly platform?: Platform;
  /** Of RUNs that do not say otherwise. `none` unless told: Tare has no network for containers but the host's. */
  readonly network?: Network;
  /** Lines of /etc/hosts in every RUN, besides those of the machine itself: `ADDRESS NAME`. */
  readonly hosts?: readonly string[];
  /** Whether a RUN that asks for the host's network gets it; so it does where all have it. */
  readonly allowHostNetwork?: boolean;
  /** In seconds since 1970: no time in the image is later. Unless told, the build argument SOURCE_DATE_EPOCH. */
  readonly epoch?: number;
  /** Steps at work at a time: as many as there are processors, but at most 4, unless told. */
  readonly parallel?: number;
  readonly onEvent?: OnBuildEvent;
  readonly signal?: AbortSignal;
}

/** The image that has been built. */
export interface BuildResult {
  /** Of the manifest. */
  readonly digest: Digest;
  /** Of the config: Docker's image id. */
  readonly imageId: Digest;
  readonly size: number;
}

/**
 * Builds an image.
 * @throws TareError with line and column in its text for what is wrong in the Dockerfile; RunFailed for a RUN that fails. Nothing half-made is left
 */
export async function build(store: ImageStore, options: BuildOptions): Promise<BuildResult> {
  await removeDeadWork(store.root);
  removeDeadSecrets();
  const dockerfile = parseDockerfile(options.dockerfile, options.file ?? 'Dockerfile');
  const steps = new StepTeller(options.onEvent ?? (() => undefined));
  for (const { message, at } of dockerfile.warnings) steps.warn(`${dockerfile.source.place(at)}: ${message}`);
  const given = options.args ?? new Map<string, string>();
  const platform = options.platform ?? hostPlatform();
  for (const name of unusedArgs(dockerfile, given)) steps.warn(`--build-arg ${name}: no ARG asks for it`);
  const failed = new AbortController();
  using lease = store.lease();
  const epoch = options.epoch ?? epochOf(given.get('SOURCE_DATE_EPOCH'));
  const session: Session = {
    store,
    snapshots: openSnapshots(store),
    lease,
    cache: new StepCache(store),
    platform,
    pull: options.pull ?? 'missing',
    useCache: !options.noCache,
    slots: new Slots(options.parallel ?? Math.max(1, Math.min(4, availableParallelism()))),
    signal: options.signal ? AbortSignal.any([failed.signal, options.signal]) : failed.signal,
    ...(epoch !== undefined && { epoch }),
    network: options.network ?? 'none',
    hosts: options.hosts ?? [],
    allowHostNetwork: options.allowHostNetwork ?? options.network === 'host',
    steps,
  };
  await using downloads = new Downloads(store, session.signal);
  const solver = new Solver({
    session,
    dockerfile,
    given,
    globals: globalArgs(dockerfile, given, platformArgs(hostPlatform(), platform, options.target)),
    noCacheStages: (options.noCacheStages ?? []).map((name) => name.toLowerCase()),
    secrets: new Map((options.secrets ?? []).map((secret) => [secret.id, secret])),
    context: options.context,
    downloads,
  });
  const result = await solver.solve(solver.target(options.target), (error) => failed.abort(error));
  options.signal?.throwIfAborted();
  const names = options.names ?? [];
  const image = await steps.step({ text: `image${names.length > 0 ? '' : ' without a name'}` }, () =>
    writeImage(session, result, options.labels ?? new Map()),
  );
  for (const name of names) await store.names.set(name, image.manifest);
  if (names.length === 0) await store.names.keep(image.manifest);
  return { digest: image.manifest.digest, imageId: image.imageId, size: image.manifest.size };
}
