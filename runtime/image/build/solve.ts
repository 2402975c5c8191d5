/**
 * Which stages a target needs, and their results: each stage is built once, all that are needed at the same time, and one waits for another where it
 * uses it. Steps at work are limited by slots, which nobody holds while waiting for a stage, so that somebody always goes on.
 */
import { TareError } from '../../kernel/error.js';
import type { Platform } from '../../oci/image/index.js';
import { parsePlatform } from '../platform.js';
import type { Image, OnProgress } from '../types.js';
import { baseImage, layersOf } from './base.js';
import type { Circumstances, StageState } from './configure.js';
import type { SourceTree } from './context/index.js';
import { contextSource } from './context-source.js';
import type { Downloads } from './downloads.js';
import { StageFiles } from './files.js';
import type { MountCircumstances, MountSource } from './mounts.js';
import { type Dockerfile, expandWord, type Stage, stageOf, type Word } from './parse/index.js';
import type { Source } from './parse/source.js';
import type { Secret } from './secrets.js';
import type { Session } from './session.js';
import { StageBuild, type StageResult } from './stage.js';
import { treeSource } from './tree-source.js';
import type { Values } from './variables.js';

export interface SolverOptions {
  readonly session: Session;
  readonly dockerfile: Dockerfile;
  /** By `--build-arg`. */
  readonly given: Values;
  readonly globals: Values;
  /** By name, or number. */
  readonly noCacheStages: readonly string[];
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly downloads: Downloads;
  /** The build context. */
  readonly context: SourceTree;
}

export class Solver {
  readonly session: Session;
  readonly given: Values;
  readonly circumstances: Circumstances;
  readonly context: SourceTree;
  readonly downloads: Downloads;
  readonly #options: SolverOptions;
  readonly #results = new Map<number, Promise<StageResult>>();
  readonly #images = new Map<string, Promise<Image>>();

  constructor(options: SolverOptions) {
    const { session, dockerfile, given, globals, context } = options;
    this.#options = options;
    this.session = session;
    this.given = given;
    this.context = context;
    this.downloads = options.downloads;
    this.circumstances = {
      source: dockerfile.source,
      escapeSign: dockerfile.directives.escape,
      given,
      globals,
      onWarning: (text) => session.steps.warn(text),
    };
  }

  /** The session, in which the cache is not used for a stage that is to be done again. */
  sessionOf({ name, index }: Stage): Session {
    const again = this.#options.noCacheStages.some((one) => one === name || one === `${index}`);
    return again ? { ...this.session, useCache: false } : this.session;
  }

  /** How many the file has. */
  get stages(): number {
    return this.#options.dockerfile.stages.length;
  }

  /** The stage of the name, or the last one. @throws TareError `usage` */
  target(name: string | undefined): Stage {
    const { stages } = this.#options.dockerfile;
    const found =
      name === undefined ? stages.at(-1) : stageOf(this.#options.dockerfile, stages.length, name, { byNumber: true });
    if (found) return found;
    const names = stages.flatMap((stage) => stage.name ?? []);
    throw new TareError(
      'usage',
      `there is no stage ${JSON.stringify(name)}${names.length > 0 ? `: there are ${names.join(', ')}` : ': no stage has a name'}`,
    );
  }

  /** Builds it with all that it needs. The first failure ends the others; nothing is at work any more when it is thrown. */
  async solve(target: Stage, abort: (error: unknown) => void): Promise<StageResult> {
    let first: { error: unknown } | undefined;
    const all = [...this.#needed(target)].map((index) =>
      this.stage(index).catch((error: unknown) => {
        first ??= { error };
        abort(error);
      }),
    );
    await Promise.all(all);
    if (first) throw first.error;
    return this.stage(target.index);
  }

  stage(index: number): Promise<StageResult> {
    const known = this.#results.get(index);
    if (known) return known;
    const result = new StageBuild(this, this.#options.dockerfile.stages[index] as Stage).run();
    this.#results.set(index, result);
    return result;
  }

  stageNamed(name: string, before: number, byNumber: boolean): Stage | undefined {
    return stageOf(this.#options.dockerfile, before, name, { byNumber });
  }

  /** The name that FROM has, its variables expanded. */
  baseName({ base }: Stage): string {
    const name = this.#expandGlobal(base);
    if (name !== '') return name;
    throw this.circumstances.source.error(base.at, 'FROM has no image: the variable in it is empty');
  }

  platformOf({ platform }: Stage): Platform {
    if (!platform) return this.session.platform;
    const written = this.#expandGlobal(platform);
    if (written !== '') return parsePlatform(written);
    throw this.circumstances.source.error(platform.at, 'FROM --platform is empty: the variable in it has no value');
  }

  image(name: string, platform: Platform, onProgress: OnProgress = () => undefined): Promise<Image> {
    const key = `${name} ${JSON.stringify(platform)}`;
    const known = this.#images.get(key);
    if (known) return known;
    const image = baseImage(this.session, name, platform, onProgress);
    this.#images.set(key, image);
    return image;
  }

  /** The files of an earlier stage, or of an image. */
  async files(from: string, before: number): Promise<StageFiles> {
    const stage = this.stageNamed(from, before, true);
    if (stage) return (await this.stage(stage.index)).files;
    const image = await this.image(from, this.session.platform);
    return new StageFiles(this.session, layersOf(image));
  }

  /** Adds the place to what it throws. */
  async explain<T>(
    { at }: Pick<Word, 'at'>,
    work: () => Promise<T>,
    source: Source = this.circumstances.source,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TareError) || error.path !== undefined || this.session.signal.aborted) throw error;
      throw source.error(at, error.message, { code: error.code, cause: error });
    }
  }

  mountCircumstances(source: Source, { config }: StageState, before: number): MountCircumstances {
    return {
      root: this.session.store.root,
      source,
      secrets: this.#options.secrets,
      cwd: config.WorkingDir ?? '/',
      signal: this.session.signal,
      sourceOf: async (from): Promise<MountSource> =>
        from === undefined ? contextSource(this.context) : treeSource(await this.files(from, before)),
    };
  }

  #expandGlobal(word: Word): string {
    const { source, escapeSign, globals } = this.circumstances;
    return expandWord(source, word, globals, { escape: escapeSign });
  }

  /** The stage and those that it uses, and those that they use. */
  #needed(target: Stage, found = new Set<number>()): Set<number> {
    if (found.has(target.index)) return found;
    found.add(target.index);
    for (const { name, byNumber } of this.#uses(target)) {
      const stage = this.stageNamed(name, target.index, byNumber);
      if (stage) this.#needed(stage, found);
    }
    return found;
  }

  #uses(stage: Stage): { name: string; byNumber: boolean }[] {
    const froms = stage.instructions.flatMap((instruction) => {
      if (instruction.kind === 'copy') return instruction.from?.text ?? [];
      if (instruction.kind !== 'run') return [];
      // What else is said of a mount may have variables, which are not known yet; from= has none.
      return instruction.mounts.flatMap(({ text }) => /(?:^|,)"?from=([^,"]+)/i.exec(text)?.[1] ?? []);
    });
    return [{ name: this.baseName(stage), byNumber: false }, ...froms.map((name) => ({ name, byNumber: true }))];
  }
}
