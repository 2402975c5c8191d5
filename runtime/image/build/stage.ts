/**
 * One stage: its base, then its instructions one after the other. What changes files is a step, which may be in the cache; what changes the config alone
 * costs nothing and is done each time. The triggers of the base (ONBUILD) come first, as if they stood behind FROM.
 */
import { TareError } from '../../kernel/error.js';
import type { HistoryEntry, Platform } from '../../oci/image/index.js';
import type { OnProgress } from '../types.js';
import { layersOf, platformOf } from './base.js';
import type { StepResult } from './cache.js';
import { type Circumstances, configure, type StageState, variables } from './configure.js';
import { copyCreatedBy, copyStep } from './copy-step.js';
import type { StepInfo } from './events.js';
import { type FileStep, StageFiles } from './files.js';
import { type Instruction, parseMount, parseTrigger, type Stage } from './parse/index.js';
import { runCreatedBy, runStep } from './run-step.js';
import type { Session } from './session.js';
import type { Solver } from './solve.js';
import { makeFolderStep } from './workdir.js';

/** An image of somebody else may have any number; each is a step. */
const MAX_TRIGGERS = 1000;

export interface StageResult {
  readonly files: StageFiles;
  readonly state: StageState;
  readonly history: readonly HistoryEntry[];
  readonly platform: Platform;
}

/** An instruction, and the file that it stands in: the Dockerfile, or an image that it was kept in. */
interface Placed {
  readonly instruction: Instruction;
  readonly circumstances: Circumstances;
}

export class StageBuild {
  readonly #solver: Solver;
  readonly #stage: Stage;
  readonly #session: Session;
  #files: StageFiles;
  #state: StageState = { config: {}, args: new Map(), hasCmd: false };
  #history: HistoryEntry[] = [];
  #platform: Platform;
  #index = 0;
  #total = 0;

  constructor(solver: Solver, stage: Stage) {
    this.#solver = solver;
    this.#stage = stage;
    this.#session = solver.sessionOf(stage);
    this.#platform = solver.session.platform;
    this.#files = new StageFiles(solver.session, []);
  }

  /** @throws TareError with the place, RunFailed, the signal's reason */
  async run(): Promise<StageResult> {
    const own = this.#stage.instructions.map((instruction) => ({
      instruction,
      circumstances: this.#solver.circumstances,
    }));
    this.#total = 1 + own.filter(({ instruction }) => isShown(instruction)).length;
    const triggers = await this.#from();
    for (const placed of [...triggers, ...own]) {
      this.#session.signal.throwIfAborted();
      const { instruction, circumstances } = placed;
      await this.#solver.explain(instruction, () => this.#instruction(placed), circumstances.source);
    }
    return { files: this.#files, state: this.#state, history: this.#history, platform: this.#platform };
  }

  /** @returns the triggers of the base */
  async #from(): Promise<Placed[]> {
    const { base } = this.#stage;
    const name = this.#solver.baseName(this.#stage);
    const from = this.#solver.stageNamed(name, this.#stage.index, false);
    if (from) {
      // With its ARGs: a stage has those of the stage that it begins with.
      const result = await this.#solver.stage(from.index);
      this.#files = result.files.of(this.#session);
      this.#history = [...result.history];
      this.#platform = result.platform;
      return this.#begin({ ...result.state, hasCmd: false }, name);
    }
    return this.#step(this.#stage.original, async (step) => {
      if (name === 'scratch') return { cached: true, value: [] };
      const platform = this.#solver.platformOf(this.#stage);
      const image = await this.#solver.explain(base, () => this.#solver.image(name, platform, this.#progressOf(step)));
      this.#files = new StageFiles(this.#session, layersOf(image));
      this.#history = [...(image.config.history ?? [])];
      this.#platform = platformOf(image.config);
      const { author, config = {} } = image.config;
      const state = { config, args: new Map(), hasCmd: false, ...(author !== undefined && { author }) };
      return { value: this.#begin(state, name) };
    });
  }

  #begin(state: StageState, name: string): Placed[] {
    const kept = state.config.OnBuild ?? [];
    if (kept.length > MAX_TRIGGERS)
      throw new TareError('unsupported', `its image has more than ${MAX_TRIGGERS} instructions from ONBUILD`);
    const triggers = kept.map((text): Placed => {
      const { instruction, dockerfile } = parseTrigger(text, `ONBUILD of ${name}`);
      const { source, directives } = dockerfile;
      return {
        instruction,
        circumstances: { ...this.#solver.circumstances, source, escapeSign: directives.escape },
      };
    });
    const { OnBuild: _, ...config } = state.config;
    this.#state = { ...state, config };
    this.#total += triggers.filter(({ instruction }) => isShown(instruction)).length;
    return triggers;
  }

  async #instruction({ instruction, circumstances }: Placed): Promise<void> {
    const state = this.#state;
    const { kind } = instruction;
    if (kind === 'run') {
      const { source, escapeSign } = circumstances;
      const mounts = instruction.mounts.map((word) => parseMount(source, word, variables(state), escapeSign));
      const createdBy = runCreatedBy({ instruction, state });
      return this.#fileStep(instruction.original, createdBy, (step) =>
        runStep({
          session: this.#session,
          source,
          instruction,
          state,
          mounts,
          where: this.#solver.mountCircumstances(source, state, this.#stage.index),
          given: this.#solver.given,
          step,
        }),
      );
    }
    if (kind === 'copy' || kind === 'add') {
      const createdBy = copyCreatedBy(instruction);
      const options = { solver: this.#solver, circumstances, instruction, state, before: this.#stage.index };
      return this.#fileStep(createdBy, createdBy, () => copyStep(options));
    }
    const configured = configure(state, instruction, circumstances);
    this.#state = configured.state;
    if (kind !== 'workdir') {
      this.#note(configured.createdBy);
      return undefined;
    }
    const { WorkingDir = '/', User = '' } = configured.state.config;
    return this.#fileStep(instruction.original, configured.createdBy, async () => makeFolderStep(WorkingDir, User));
  }

  /** A step that may change files. Where it has changed none, the history says so. */
  async #fileStep(text: string, createdBy: string, make: (step: StepInfo) => Promise<FileStep>): Promise<void> {
    await this.#step(text, async (step) => {
      const { files, result, cached } = await this.#files.step(await make(step));
      this.#files = files;
      this.#note(createdBy, result);
      return { cached, value: undefined };
    });
  }

  async #step<T>(text: string, work: (step: StepInfo) => Promise<{ cached?: boolean; value: T }>): Promise<T> {
    const { name, index } = this.#stage;
    const stage = name ?? (this.#solver.stages > 1 ? `stage-${index}` : undefined);
    const info = { ...(stage !== undefined && { stage }), index: ++this.#index, total: this.#total, text };
    return (await this.#session.steps.step(info, work)).value;
  }

  /** A line for each layer and what is done with it, not for each piece that comes. */
  #progressOf(step: StepInfo): OnProgress {
    const actions = new Map<string, string>();
    return ({ id, action, detail }) => {
      if (actions.get(id) === action) return;
      actions.set(id, action);
      const text = `${id}: ${action}${detail === undefined ? '' : `: ${detail}`}`;
      this.#session.steps.tell({ kind: 'status', step, text });
    };
  }

  #note(createdBy: string, result?: StepResult): void {
    const { author } = this.#state;
    this.#history.push({
      ...(result && { created: result.created }),
      created_by: createdBy,
      ...(author !== undefined && { author }),
      ...(!result?.layer && { empty_layer: true }),
    });
  }
}

/** What is a step of its own in the display. */
function isShown({ kind }: Instruction): boolean {
  return kind === 'run' || kind === 'copy' || kind === 'add' || kind === 'workdir';
}
