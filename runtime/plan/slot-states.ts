/**
 * What is known about the slots at one point of one lane: empty, filled, or perhaps filled, with the condition under
 * which it surely is. A step that is tolerated to fail, or that has a guard, fills its output only perhaps; a step that
 * uses such a slot must be guarded by it, or have the guard under which it was filled.
 */
import type { Slot, Step } from './plan.js';

/** 'empty', 'full', or the conditions under which it is full; no condition at all is known when the list is undefined. */
export type SlotState = 'empty' | 'full' | { readonly when: readonly string[] | undefined };

export class SlotStates {
  readonly #states: Map<number, SlotState>;

  private constructor(states: Map<number, SlotState>) {
    this.#states = states;
  }

  /** The start of the outside lane: the given slots are full. */
  static given(count: number): SlotStates {
    return new SlotStates(new Map(Array.from({ length: count }, (_, i) => [i, 'full'])));
  }

  copy(): SlotStates {
    return new SlotStates(new Map(this.#states));
  }

  /** Checks the slots that a step reads. Returns what is wrong. */
  use(step: Step): string | undefined {
    const holds = this.#conditions(step);
    if (step.guardIf && this.#state(step.guardIf) === 'empty') {
      return `its condition, ${quote(step.guardIf)}, is never filled here`;
    }
    for (const value of Object.values(step.inputs)) {
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
    for (const slot of Object.values(step.outputs) as Slot[]) {
      const wrong = this.#filledAlready(step, slot);
      if (wrong) return wrong;
      if (this.#state(slot) === 'full') continue;
      holds.delete(`unless ${slot.slot}`);
      if (step.tolerate?.length) this.#set(slot, { when: undefined });
      else this.#set(slot, holds.size === 0 ? 'full' : { when: [...holds] });
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
    if (carried !== 'full') this.#set(slot, { when: undefined });
    else this.#set(slot, holds.size === 0 ? 'full' : { when: [...holds] });
    return undefined;
  }

  /** What surely holds while a step runs: its guards, and what must hold for those to be filled. */
  #conditions(step: Step): Set<string> {
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
    return this.#states.get(slot.slot) ?? 'empty';
  }

  /** A slot that changes ends what was known under it. */
  #set(slot: Slot, state: SlotState): void {
    for (const [other, known] of this.#states) {
      if (typeof known !== 'object' || !known.when?.some((condition) => condition.endsWith(` ${slot.slot}`))) continue;
      this.#states.set(other, { when: undefined });
    }
    this.#states.set(slot.slot, state);
  }
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
