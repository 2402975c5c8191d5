/**
 * What is known about the slots at one point of one lane: empty, filled, or perhaps filled, with the condition under
 * which it surely is. A step that is tolerated to fail, or that has a guard, fills its output only perhaps; a step that
 * uses such a slot must be guarded by it, or have the guard under which it was filled.
 */
import type { Slot, Step } from './plan.js';

/** 'empty', 'full', or the conditions under which it is full; no condition at all is known when the list is undefined. */
export type SlotState = 'empty' | 'full' | { readonly when: readonly string[] | undefined };

export class SlotStates {
  readonly #states: (SlotState | undefined)[];
  /** Slots on which the states of others depend. */
  readonly #conditional = new Set<number>();

  private constructor(states: (SlotState | undefined)[]) {
    this.#states = states;
  }

  /** The start of the outside lane: the given slots are full. */
  static given(count: number): SlotStates {
    return new SlotStates(new Array<SlotState>(count).fill('full'));
  }

  copy(): SlotStates {
    const copy = new SlotStates([...this.#states]);
    for (const slot of this.#conditional) copy.#conditional.add(slot);
    return copy;
  }

  /** Checks the slots that a step reads. Returns what is wrong. */
  use(step: Step): string | undefined {
    const holds = this.#conditions(step);
    if (step.guardIf && this.#state(step.guardIf) === 'empty') {
      return `its condition, ${quote(step.guardIf)}, is never filled here`;
    }
    const inputs = step.inputs as Readonly<Record<string, unknown>>;
    for (const name in inputs) {
      const value = inputs[name];
      if (!isSlot(value)) continue;
      const state = this.#state(value);
      if (state === 'full') continue;
      if (state === 'empty') return `${quote(value)} is empty here`;
      if (!surely(value, state, holds) && !mayBeEmpty(step)) {
        return `${quote(value)} may be empty here: guard the step with it`;
      }
    }
    return undefined;
  }

  /** Records what a step fills or closes. Returns what is wrong. */
  fill(step: Step): string | undefined {
    const holds = this.#conditions(step);
    if (step.kind === 'close' && isSlot(step.inputs.fd)) {
      const { fd } = step.inputs;
      const always = holds.size === 0 || surely(fd, this.#state(fd), holds);
      this.#set(fd, always ? 'empty' : { when: undefined });
    }
    const outputs = step.outputs as Readonly<Record<string, Slot>>;
    for (const name in outputs) {
      const slot = outputs[name] as Slot;
      const wrong = this.#filledAlready(step, slot);
      if (wrong) return wrong;
      if (this.#state(slot) === 'full') continue;
      this.#set(slot, step.tolerate?.length ? { when: undefined } : fullWhen(holds, slot));
    }
    return undefined;
  }

  /** The state that a post carries to the lane that waits for it. */
  carried(step: Step & { readonly kind: 'post' }): SlotState {
    const { fd } = step.inputs;
    return isSlot(fd) ? this.#state(fd) : 'empty';
  }

  /** Records what a wait receives. Returns what is wrong. */
  receive(step: Step & { readonly kind: 'wait' }, carried: SlotState): string | undefined {
    const slot = step.outputs.fd;
    if (!slot || carried === 'empty') return undefined;
    const wrong = this.#filledAlready(step, slot);
    if (wrong) return wrong;
    const holds = this.#conditions(step);
    this.#set(slot, carried === 'full' ? fullWhen(holds, slot) : { when: undefined });
    return undefined;
  }

  /** What surely holds while a step runs: its guards, and what must hold for those to be filled. */
  #conditions(step: Step): ReadonlySet<string> {
    if (!step.guardIf && !step.guardUnless) return ALWAYS;
    const holds = new Set<string>();
    const add = (condition: string, slot?: Slot) => {
      if (holds.has(condition)) return;
      holds.add(condition);
      const state = slot && this.#state(slot);
      if (typeof state === 'object') for (const more of state.when ?? []) add(more);
    };
    if (step.guardIf) add(`if ${step.guardIf.slot}`, step.guardIf);
    if (step.guardUnless) add(`unless ${step.guardUnless.slot}`);
    return holds;
  }

  #filledAlready(step: Step, slot: Slot): string | undefined {
    if (this.#state(slot) === 'empty' || step.guardUnless === slot) return undefined;
    return `${quote(slot)} is filled already: close it first, or fill it only unless it is filled`;
  }

  #state(slot: Slot): SlotState {
    return this.#states[slot.slot] ?? 'empty';
  }

  /** A slot that changes ends what was known under it. */
  #set(slot: Slot, state: SlotState): void {
    if (this.#conditional.delete(slot.slot)) {
      this.#states.forEach((known, i) => {
        if (typeof known !== 'object' || !known.when?.some((condition) => condition.endsWith(` ${slot.slot}`))) return;
        this.#states[i] = { when: undefined };
      });
    }
    this.#states[slot.slot] = state;
    if (typeof state !== 'object' || !state.when) return;
    for (const condition of state.when) this.#conditional.add(Number(condition.slice(condition.indexOf(' ') + 1)));
  }
}

const ALWAYS: ReadonlySet<string> = new Set();

/** After a step has filled the slot: that it was empty before, where the step asked for that, is no condition of it. */
function fullWhen(holds: ReadonlySet<string>, slot: Slot): SlotState {
  if (holds.size === 0) return 'full';
  const when = [...holds].filter((condition) => condition !== `unless ${slot.slot}`);
  return when.length === 0 ? 'full' : { when };
}

/** Is the slot full where these conditions hold? */
function surely(slot: Slot, state: SlotState, holds: ReadonlySet<string>): boolean {
  if (typeof state !== 'object') return state === 'full' && (holds.size === 0 || holds.has(`if ${slot.slot}`));
  return holds.has(`if ${slot.slot}`) || (state.when?.every((condition) => holds.has(condition)) ?? false);
}

/** These take a descriptor or none, so an empty slot says none. */
function mayBeEmpty(step: Step): boolean {
  return step.kind === 'post' || step.kind === 'call';
}

export function isSlot(value: unknown): value is Slot {
  return typeof value === 'object' && value !== null && 'slot' in value;
}

function quote(slot: Slot): string {
  return `slot "${slot.name}"`;
}
