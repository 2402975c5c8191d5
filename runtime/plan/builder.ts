/**
 * The builder: writes a plan the way a C programmer would write the calls. A lane has one method for each step kind; it
 * takes the kind's inputs by name and returns the slot, or slots, that the step fills. So algorithms (resolve in root,
 * mount by descriptor, mask) are ordinary functions of a lane, and the tiny programs of the chapters read like a script:
 *
 *     const b = new PlanBuilder();
 *     const init = b.outside.clone({ lane: 'inside', flags: CLONE_NEWUTS }, 'a host name of its own');
 *     b.inside.sethostname({ name: 'tiny' }, 'now it can be changed and nobody else sees it');
 *     b.inside.exec({ candidates: ['/bin/sh'], argv: ['sh'], env: [] }, 'the container’s program');
 *     b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' }, 'waits for it');
 *     await runPlan(b.build()).exited;
 */
import type { Lane, Plan, Slot, Step } from './plan.js';
import { LANES } from './plan.js';
import type { StepInputs, StepKind, StepOutputs } from './steps.gen.js';
import { STEP_KINDS } from './steps.gen.js';

/** What is said about a step besides its inputs. A bare string is the why. */
export interface About {
  /** The config field that caused the step; `default` unless the lane was made with `for` or `with`. */
  readonly field?: string;
  /** One line saying why. */
  readonly why?: string;
  /** The name of the output slot, for people. Where there are two (clone), the second gets its own name appended. */
  readonly as?: string;
  /** Fills this slot instead of a new one: the second of two ways to obtain a thing, guarded by `unless`. */
  readonly into?: Slot;
  /** Skipped unless this slot is filled. */
  readonly if?: Slot;
  /** Skipped if this slot is filled. */
  readonly unless?: Slot;
  /** Names of errnos, at most two, that leave the output empty and let the plan go on. */
  readonly tolerate?: readonly string[];
}

/** What a step's method returns: nothing, its only slot, or its slots by name. */
export type StepResult<K extends StepKind> = keyof StepOutputs[K] extends never
  ? undefined
  : IsUnion<keyof StepOutputs[K]> extends true
    ? StepOutputs[K]
    : StepOutputs[K][keyof StepOutputs[K]];

type IsUnion<T, U = T> = T extends unknown ? ([U] extends [T] ? false : true) : never;

/** One method for each step kind of steps.def. */
export type StepMethods = {
  readonly [K in StepKind]: keyof StepInputs[K] extends never
    ? (about?: About | string) => StepResult<K>
    : (inputs: StepInputs[K], about?: About | string) => StepResult<K>;
};

/** A lane under construction. */
export interface LaneBuilder extends StepMethods {
  readonly lane: Lane;
  /** The same lane, with `field` said once for the steps that follow: `const at = b.inside.for('mounts[2]')`. */
  for(field: string, more?: About): LaneBuilder;
  /** The same lane, with defaults for every step: a guard, a field, a why. */
  with(defaults: About): LaneBuilder;
  /** Adds a step whose kind is known only at run time. Returns its output slots, in the kind's order. */
  add<K extends StepKind>(kind: K, inputs: StepInputs[K], about?: About | string): Slot[];
}

/** Collects steps in lanes. `build` gives the plan; it can be called once everything has been added. */
export class PlanBuilder {
  readonly outside: LaneBuilder = new LaneOf(this, 'outside', {}) as unknown as LaneBuilder;
  readonly bridge: LaneBuilder = new LaneOf(this, 'bridge', {}) as unknown as LaneBuilder;
  readonly inside: LaneBuilder = new LaneOf(this, 'inside', {}) as unknown as LaneBuilder;

  readonly #steps: Record<Lane, Step[]> = { outside: [], bridge: [], inside: [] };
  readonly #given: MutableSlot[] = [];
  readonly #made: MutableSlot[] = [];
  #token = 0;

  /** A slot filled, before the first step, with a descriptor that the caller of the plan passes under this name. */
  given(name: string): Slot<'fd'> {
    const slot = { slot: this.#given.length, type: 'fd' as const, name };
    this.#given.push(slot);
    return slot;
  }

  /** An empty descriptor slot, to be filled by a step with `into`. */
  fd(name: string): Slot<'fd'> {
    return this.#slot('fd', name) as Slot<'fd'>;
  }

  /** An empty pid slot, to be filled by a step with `into`. */
  pid(name: string): Slot<'pid'> {
    return this.#slot('pid', name) as Slot<'pid'>;
  }

  /** `from` tells `to` that it got here: a post there, a wait here, with a token of their own. */
  sync(from: Lane, to: Lane, about: About | string): void {
    const { token, said } = this.#post(from, to, 'none', about);
    this.append(to, 'wait', { lane: from, token }, said, false);
  }

  /** As sync, and a descriptor goes along: the slot that it fills in `to`. */
  pass(from: Lane, to: Lane, fd: Slot<'fd'>, about: About | string): Slot<'fd'> {
    const { token, said } = this.#post(from, to, fd, about);
    return this[to].wait({ lane: from, token }, { as: fd.name, ...said });
  }

  #post(from: Lane, to: Lane, fd: Slot<'fd'> | 'none', about: About | string): { token: number; said: About } {
    const token = ++this.#token;
    const said = typeof about === 'string' ? { why: about } : about;
    this[from].post({ lane: to, token, fd }, said);
    return { token, said };
  }

  /** The plan: given slots first, lanes without steps left out. */
  build(): Plan {
    this.#made.forEach((slot, i) => {
      slot.slot = this.#given.length + i;
    });
    const lanes: Partial<Record<Lane, readonly Step[]>> = {};
    for (const lane of LANES)
      if (lane === 'outside' || this.#steps[lane].length > 0) lanes[lane] = [...this.#steps[lane]];
    return {
      formatVersion: 1,
      slots: [...this.#given, ...this.#made],
      given: this.#given.map((slot) => slot.name),
      lanes: lanes as Plan['lanes'],
    };
  }

  /** @internal The lanes put their steps here. Without `fills` the step's outputs are not kept. */
  append(lane: Lane, kind: StepKind, inputs: object, about: About, fills = true): Slot[] {
    const info = KIND.get(kind);
    if (!info) throw new TypeError(`no such step kind: ${kind}`);
    const base = about.as ?? kind;
    const outputs: Record<string, Slot> = {};
    const slots = (fills ? info.outputs : []).map((output, i) => {
      const type = output.letter === 'd' ? 'fd' : 'pid';
      const slot = i === 0 && about.into ? about.into : this.#slot(type, i === 0 ? base : `${base} ${output.name}`);
      outputs[output.name] = slot;
      return slot;
    });
    this.#steps[lane].push({
      kind,
      inputs,
      outputs,
      ...(about.if && { guardIf: about.if }),
      ...(about.unless && { guardUnless: about.unless }),
      ...(about.tolerate && about.tolerate.length > 0 && { tolerate: [...about.tolerate] }),
      field: about.field ?? 'default',
      why: about.why ?? info.what,
    } as Step);
    return slots;
  }

  #slot(type: 'fd' | 'pid', name: string): Slot {
    const slot = { slot: this.#given.length + this.#made.length, type, name };
    this.#made.push(slot);
    return slot;
  }
}

/** Slots get their final number in `build`, when it is known how many are given. */
type MutableSlot = { slot: number; readonly type: 'fd' | 'pid'; readonly name: string };

const KIND = new Map(STEP_KINDS.map((info) => [info.kind, info]));

class LaneOf {
  readonly lane: Lane;
  readonly #plan: PlanBuilder;
  readonly #defaults: About;

  constructor(plan: PlanBuilder, lane: Lane, defaults: About) {
    this.#plan = plan;
    this.lane = lane;
    this.#defaults = defaults;
  }

  for(field: string, more: About = {}): LaneOf {
    return this.with({ ...more, field });
  }

  with(defaults: About): LaneOf {
    return new LaneOf(this.#plan, this.lane, { ...this.#defaults, ...defaults });
  }

  add(kind: StepKind, inputs: object, about: About | string = {}): Slot[] {
    const said = typeof about === 'string' ? { why: about } : about;
    return this.#plan.append(this.lane, kind, inputs, { ...this.#defaults, ...said });
  }
}

// One method a kind, on the prototype: what LaneBuilder promises.
for (const { kind, inputs, outputs } of STEP_KINDS) {
  Object.defineProperty(LaneOf.prototype, kind, {
    value(this: LaneOf, first?: object | string, second?: About | string) {
      const slots = inputs.length === 0 ? this.add(kind, {}, first) : this.add(kind, first as object, second);
      if (outputs.length <= 1) return slots[0];
      return Object.fromEntries(outputs.map((output, i) => [output.name, slots[i]]));
    },
  });
}
